import { useEffect, useState } from 'react';

import Button from '../components/Button';
import Notice from '../components/Notice';
import { useChat } from '../state/chat';
import { space } from '../theme/tokens';
import { plural } from '../words';

/** Shorter losses are not worth a word. */
const PATIENCE_MS = 600;

/** Says when chat is not connected, and what becomes of what is said meanwhile. */
export default function ConnectionBanner() {
  const { connection, status, waiting } = useChat();
  const isLost = status.status === 'offline' || status.status === 'connecting';
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(isLost), isLost ? PATIENCE_MS : 0);
    return () => clearTimeout(timer);
  }, [isLost]);

  const style = { marginHorizontal: space.l, marginBottom: space.s };
  if (status.status === 'closed') {
    return <Notice tone="fail" title="The server refuses this connection" style={style}>{`${status.reason ?? ''} Check your name in Settings.`.trim()}</Notice>;
  }
  if (!isShown || !isLost) return null;
  return (
    <Notice
      tone="warn"
      icon="cloud-offline"
      title="Reconnecting…"
      style={style}
      action={connection && <Button title="Try now" onPress={() => connection.wake()} />}
    >
      {waiting.length > 0 ? `${plural(waiting.length, 'message')} will be sent then.` : 'What you write will be sent then.'}
    </Notice>
  );
}
