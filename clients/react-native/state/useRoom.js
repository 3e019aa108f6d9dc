import { useCallback, useEffect, useRef, useState } from 'react';

import { useChat } from './chat';
import { merge } from './messages';

const PAGE = 40;
const START = { messages: [], isLoading: true, isFirstKnown: false, error: undefined };

/** What was said in a room: the newest first page, what comes live, and upwards page by page. */
export function useRoom(name) {
  const { connection, status } = useChat();
  const [state, setState] = useState(START);
  const loading = useRef(null);

  const add = useCallback(
    (added, rest = {}) =>
      setState((before) => {
        const messages = merge(before.messages, added);
        return { ...before, ...rest, messages, isFirstKnown: before.isFirstKnown || messages[0]?.seq === 1 };
      }),
    [],
  );

  const load = useCallback(
    async (room, before) => {
      if (loading.current) return;
      const controller = (loading.current = new AbortController());
      setState((now) => ({ ...now, isLoading: true }));
      try {
        const page = await room.history({ before, limit: PAGE, signal: controller.signal });
        if (controller.signal.aborted) return;
        add(page, { isLoading: false, error: undefined, ...(page.length < PAGE && { isFirstKnown: true }) });
      } catch (error) {
        if (!controller.signal.aborted) setState((now) => ({ ...now, isLoading: false, error }));
      } finally {
        if (loading.current === controller) loading.current = null;
      }
    },
    [add],
  );

  useEffect(() => {
    setState(START);
    if (!connection) return undefined;
    const room = connection.room(name);
    const forget = [
      // First the live ones, then the page: so that nothing is between the two.
      room.on('message', (message) => add([message])),
      room.on('reset', () => {
        loading.current?.abort();
        loading.current = null;
        setState(START);
        void load(room);
      }),
    ];
    void load(room);
    return () => {
      forget.forEach((each) => each());
      loading.current?.abort();
      loading.current = null;
    };
  }, [connection, name, add, load]);

  // What could not be loaded while offline is loaded as soon as there is somebody to ask.
  const isOnline = status.status === 'online';
  const { error, messages } = state;
  useEffect(() => {
    if (isOnline && error && connection) void load(connection.room(name), messages[0]?.seq);
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [isOnline]);

  const older = useCallback(() => {
    if (connection && messages.length > 0 && !state.isFirstKnown) void load(connection.room(name), messages[0].seq);
  }, [connection, name, messages, state.isFirstKnown, load]);

  const retry = useCallback(() => connection && load(connection.room(name), messages[0]?.seq), [connection, name, messages, load]);

  const send = useCallback(
    async (text) => {
      try {
        const { seq, at } = await connection.room(name).send(text);
        add([{ type: 'message', room: name, seq, user: connection.user, text, at }]);
      } catch {
        // Refused ones are shown by the provider; closed means that they wait for the next time.
      }
    },
    [connection, name, add],
  );

  return { ...state, older, retry, send };
}
