import { useRef, useState } from 'react';
import { View } from 'react-native';

import Button from '../components/Button';
import Field from '../components/Field';
import Notice from '../components/Notice';
import { useClient } from '../state/client';
import { space } from '../theme/tokens';
import { explain } from '../words';

/** What the server says about a field, wherever it says it. */
function fieldErrors(error) {
  if (error?.code === 'email_taken') return { email: 'Somebody has this email address already.' };
  const [name, email] = ['name', 'email'].map((field) => error?.field?.(field));
  return { name: sentence('The name', name), email: sentence('The email address', email) };
}

const sentence = (subject, detail) => detail && `${subject} ${detail}.`;

/** Creates somebody, or changes `user` as he was when he was loaded. */
export default function UserForm({ user, onCreated, onSaved, onReload }) {
  const client = useClient();
  const [name, setName] = useState(user?.name ?? '');
  const [email, setEmail] = useState(user?.email ?? '');
  const [error, setError] = useState(undefined);
  const [isBusy, setBusy] = useState(false);
  const [isSaved, setSaved] = useState(false);
  const second = useRef(null);

  const submit = async (ifMatch = user?.etag) => {
    setBusy(true);
    setError(undefined);
    setSaved(false);
    try {
      if (!user) return onCreated(await client.users.create({ name, email }));
      onSaved(await client.users.update(user.id, { name, email }, { ifMatch }));
      await onReload();
      setSaved(true);
    } catch (why) {
      setError(why);
    } finally {
      setBusy(false);
    }
    return undefined;
  };
  const theirs = async () => {
    const now = await onReload();
    if (!now) return;
    setName(now.name);
    setEmail(now.email);
    setError(undefined);
    onSaved(now);
  };
  const mine = async () => {
    const now = await onReload();
    if (now) await submit(now.etag);
  };

  const wrong = fieldErrors(error);
  const isConflict = error?.code === 'precondition_failed';
  const isOther = error && !isConflict && !wrong.name && !wrong.email;
  const edit = (set) => (text) => {
    set(text);
    setSaved(false);
  };
  const isChanged = !user || name !== user.name || email !== user.email;
  return (
    <View style={{ gap: space.l }}>
      {isConflict && (
        <Notice
          tone="warn"
          title="Somebody was faster"
          action={
            <>
              <Button title="Show theirs" onPress={theirs} />
              <Button title="Keep mine" onPress={mine} />
            </>
          }
        >
          This person was changed after you opened the page.
        </Notice>
      )}
      {isOther && (
        <Notice tone="fail" title={explain(error).title}>
          {explain(error).detail}
        </Notice>
      )}
      {isSaved && <Notice tone="pass" title="Saved" />}
      <Field label="Name" placeholder="Ada Lovelace" value={name} onChangeText={edit(setName)} error={wrong.name} autoComplete="off" returnKeyType="next" onSubmitEditing={() => second.current?.focus()} />
      <Field
        ref={second}
        label="Email"
        placeholder="ada@example.com"
        value={email}
        onChangeText={edit(setEmail)}
        error={wrong.email}
        inputMode="email"
        autoComplete="off"
        autoCapitalize="none"
        autoCorrect={false}
        onSubmitEditing={() => submit()}
      />
      <Button title={user ? 'Save' : 'Create'} kind="primary" busy={isBusy} disabled={!isChanged} onPress={() => submit()} />
    </View>
  );
}
