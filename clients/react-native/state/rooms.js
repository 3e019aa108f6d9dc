// The rooms spoken in last, live: their newest message and how many are unread.

import { createContext, use, useCallback, useEffect, useMemo, useState } from 'react';

import { useChat } from './chat';
import { useClient } from './client';

const Rooms = createContext(null);

/** A socket may be in 100 rooms; those beyond are still in the list, as of its last look. */
const LIVE_MAX = 40;
/** Rooms of others appear within this. */
const LOOK_MS = 10_000;
const LOBBY = 'lobby';

export function RoomsProvider({ children }) {
  const client = useClient();
  const { connection, status } = useChat();
  const [listed, setListed] = useState(undefined);
  const [error, setError] = useState(undefined);
  /** By room: `head`, `unread`, and `last`, its newest message. */
  const [live, setLive] = useState({});

  const look = useCallback(
    async (signal) => {
      try {
        setListed(await client.chat.rooms({ limit: 50, signal }));
        setError(undefined);
      } catch (why) {
        if (!signal?.aborted) setError(why);
      }
    },
    [client],
  );

  const isOnline = status.status === 'online';
  useEffect(() => {
    const controller = new AbortController();
    let timer;
    const round = async () => {
      await look(controller.signal);
      if (!controller.signal.aborted) timer = setTimeout(round, LOOK_MS);
    };
    void round();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [look, isOnline]);

  useEffect(() => setLive({}), [connection]);

  const enter = useCallback(
    (name, head) => {
      const room = connection.room(name, head > 0 ? { after: head - 1 } : {});
      return [
        room.on('message', (last) => setLive((before) => ({ ...before, [name]: { ...before[name], last, head: Math.max(last.seq, before[name]?.head ?? 0) } }))),
        connection.on('unread', ({ room: of, head: now, unread }) => {
          if (of === name) setLive((before) => ({ ...before, [name]: { ...before[name], head: now, unread } }));
        }),
      ];
    },
    [connection],
  );

  /** An open room may have been entered before this list, from its newest message on: its list knows what that was. */
  const saw = useCallback(
    (last) =>
      setLive((before) => {
        const { [last.room]: room = {} } = before;
        return room.last?.seq >= last.seq ? before : { ...before, [last.room]: { ...room, last, head: Math.max(last.seq, room.head ?? 0) } };
      }),
    [],
  );

  const names = useMemo(() => [...new Set([LOBBY, ...(listed ?? []).map(({ room }) => room)])].slice(0, LIVE_MAX).sort().join(' '), [listed]);
  useEffect(() => {
    if (!connection || !listed) return undefined;
    const heads = new Map(listed.map(({ room, head }) => [room, head]));
    const forget = names.split(' ').flatMap((name) => enter(name, heads.get(name) ?? 0));
    return () => forget.forEach((each) => each());
    // Entered again only when the names are others; heads come over the socket then.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [connection, names, enter, listed !== undefined]);

  const value = useMemo(() => {
    const all = (listed ?? []).some(({ room }) => room === LOBBY) ? (listed ?? []) : [...(listed ?? []), { room: LOBBY, head: 0 }];
    const rooms = all
      .map(({ room, head: seen, last_at: lastAt }) => {
        const { head = seen, last, unread = connection?.unread(room, Math.max(head, seen)) ?? 0 } = live[room] ?? {};
        return { room, head: Math.max(head, seen), last, lastAt: last?.at ?? lastAt, unread };
      })
      .sort((a, b) => (b.lastAt ?? '').localeCompare(a.lastAt ?? '') || a.room.localeCompare(b.room));
    const unread = rooms.reduce((sum, each) => sum + each.unread, 0);
    return { rooms, unread, isLoading: listed === undefined && !error, error: listed ? undefined : error, refresh: look, saw };
  }, [listed, live, connection, error, look, saw]);

  return <Rooms value={value}>{children}</Rooms>;
}

/** `rooms`, newest first; `unread` of all of them; `saw(message)` tells of one that is shown. */
export const useRooms = () => use(Rooms);
