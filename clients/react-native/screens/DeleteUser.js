import { useState } from 'react';

import Button from '../components/Button';
import Confirm from '../components/Confirm';
import Notice from '../components/Notice';
import { useClient } from '../state/client';
import { explain } from '../words';

/** Deletes somebody, as he was when he was loaded, after asking. */
export default function DeleteUser({ user, onDeleted, onReload }) {
  const client = useClient();
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(undefined);

  const confirm = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await client.users.delete(user.id, { ifMatch: user.etag });
      onDeleted(user.id);
    } catch (why) {
      // Gone is gone, whoever did it.
      if (why.code === 'user_not_found') return onDeleted(user.id);
      if (why.code === 'precondition_failed') await onReload();
      setError(why);
      setAsking(false);
    } finally {
      setBusy(false);
    }
    return undefined;
  };
  const isConflict = error?.code === 'precondition_failed';
  return (
    <>
      {error && (
        <Notice tone={isConflict ? 'warn' : 'fail'} title={isConflict ? 'Somebody was faster' : explain(error).title}>
          {isConflict ? 'This person was changed meanwhile. Look again before you delete.' : explain(error).detail}
        </Notice>
      )}
      <Button kind="risky" title="Delete this person" icon="trash-outline" onPress={() => setAsking(true)} />
      <Confirm visible={isAsking} title={`Delete ${user.name}?`} action="Delete" busy={isBusy} onConfirm={confirm} onCancel={() => setAsking(false)}>
        The account is removed for good. What was said in chat stays.
      </Confirm>
    </>
  );
}
