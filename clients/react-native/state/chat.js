// The one connection to chat, for as long as the app runs.

import { createContext, use, useEffect, useMemo, useState } from 'react';
import { AppState } from 'react-native';

import { useClient } from './client';
import { useSettings } from './settings';

const Chat = createContext(null);
const NOTHING = { status: { status: 'connecting' }, waiting: [], refused: [] };

export function ChatProvider({ children }) {
  const client = useClient();
  const { user } = useSettings();
  const [connection, setConnection] = useState(null);
  const [state, setState] = useState(NOTHING);

  useEffect(() => {
    setState(NOTHING);
    if (!user) return undefined;
    const opened = client.chat.connect({ user });
    const set = (changes) => setState((before) => ({ ...before, ...changes }));
    // What was said is asked for by its id when it is refused.
    let waiting = [];
    const forget = [
      opened.on('status', (status) => {
        set({ status });
        // Not by us: the server does not want it. What is closed has no rooms any more.
        if (status.status === 'closed') setConnection(null);
      }),
      opened.on('outbox', (now) => {
        // The refused one has left the outbox already.
        waiting = [...waiting.filter((each) => !now.some(({ id }) => id === each.id)).slice(-50), ...now];
        set({ waiting: now });
      }),
      opened.on('refused', ({ id, error }) => {
        const message = waiting.find((each) => each.id === id);
        if (message) setState((before) => ({ ...before, refused: [...before.refused, { ...message, error }] }));
      }),
    ];
    const front = AppState.addEventListener('change', (now) => now === 'active' && opened.wake());
    setConnection(opened);
    return () => {
      forget.forEach((each) => each());
      front.remove();
      setConnection(null);
      void opened.close();
    };
  }, [client, user]);

  const value = useMemo(() => {
    const dismiss = (id) => setState((before) => ({ ...before, refused: before.refused.filter((each) => each.id !== id) }));
    return { connection, ...state, dismiss };
  }, [connection, state]);
  return <Chat value={value}>{children}</Chat>;
}

/** `connection` (null without a name), its `status`, what is `waiting` for an ack, and what was `refused`. */
export const useChat = () => use(Chat);
