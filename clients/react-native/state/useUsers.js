import { useCallback, useEffect, useRef, useState } from 'react';

import { useClient } from './client';

const PAGE = 30;
const START = { users: [], next: undefined, isLoading: true, error: undefined };

/** The users that match, page after page, and what becomes of the list when one of them changes. */
export function useUsers(q) {
  const client = useClient();
  const [state, setState] = useState(START);
  const [isRefreshing, setRefreshing] = useState(false);
  const underway = useRef(null);

  /** The first page, or the one at `cursor`. */
  const load = useCallback(
    async (cursor) => {
      underway.current?.abort();
      const controller = (underway.current = new AbortController());
      try {
        const page = await client.users.page({ q, cursor, limit: PAGE, signal: controller.signal });
        if (controller.signal.aborted) return;
        setState((before) => ({
          users: cursor === undefined ? page.users : withOut(before.users, page.users).concat(page.users),
          next: page.next,
          isLoading: false,
          error: undefined,
        }));
      } catch (error) {
        if (!controller.signal.aborted) setState((before) => ({ ...before, isLoading: false, error }));
      }
    },
    [client, q],
  );

  useEffect(() => {
    setState((before) => ({ ...before, isLoading: true }));
    void load();
    return () => underway.current?.abort();
  }, [load]);

  const more = useCallback(() => {
    if (state.next === undefined || state.isLoading) return;
    setState((before) => ({ ...before, isLoading: true }));
    void load(state.next);
  }, [state.next, state.isLoading, load]);

  const refresh = useCallback(async () => {
    setRefreshing(true);
    await load();
    setRefreshing(false);
  }, [load]);

  const change = useCallback((edit) => setState((before) => ({ ...before, users: edit(before.users) })), []);
  const created = useCallback((user) => change((users) => [user, ...withOut(users, [user])]), [change]);
  const changed = useCallback((user) => change((users) => users.map((each) => (each.id === user.id ? user : each))), [change]);
  const deleted = useCallback((id) => change((users) => users.filter((each) => each.id !== id)), [change]);

  return { ...state, isRefreshing, more, refresh, created, changed, deleted };
}

function withOut(users, those) {
  const ids = new Set(those.map((user) => user.id));
  return users.filter((user) => !ids.has(user.id));
}
