import { useCallback, useEffect, useState } from 'react';

import { useClient } from './client';

/** One user with his ETag, as he is now; `load` looks again, and resolves to him. */
export function useUser(id) {
  const client = useClient();
  const [state, setState] = useState({ user: undefined, error: undefined });

  const load = useCallback(
    async (signal) => {
      try {
        const user = await client.users.get(id, { signal: signal instanceof AbortSignal ? signal : undefined });
        setState({ user, error: undefined });
        return user;
      } catch (error) {
        if (error.code !== 'aborted') setState({ user: undefined, error });
        return undefined;
      }
    },
    [client, id],
  );

  useEffect(() => {
    if (id === undefined) return undefined;
    const controller = new AbortController();
    void load(controller.signal);
    return () => controller.abort();
  }, [id, load]);

  return { ...state, load: () => load() };
}
