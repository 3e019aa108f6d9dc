import { useCallback, useEffect, useRef, useState } from 'react';

import { useIsActive } from '../navigation/Navigation';

/**
 * Something that is loaded, and again every `everyMs` while it is shown. What was there stays while it is loaded anew, and when
 * that fails: `error` is beside it then. `load` gets a signal.
 */
export function useLoad(load, { everyMs } = {}) {
  const [state, setState] = useState({ data: undefined, error: undefined, at: undefined });
  const [isRefreshing, setRefreshing] = useState(false);
  const underway = useRef(null);
  const isActive = useIsActive();

  const run = useCallback(async () => {
    underway.current?.abort();
    const controller = (underway.current = new AbortController());
    try {
      const data = await load({ signal: controller.signal });
      if (!controller.signal.aborted) setState({ data, error: undefined, at: Date.now() });
    } catch (error) {
      if (!controller.signal.aborted) setState((before) => ({ ...before, error }));
    }
  }, [load]);

  useEffect(() => {
    if (!isActive) return undefined;
    let timer;
    let isOver = false;
    const round = async () => {
      await run();
      if (!isOver && everyMs) timer = setTimeout(round, everyMs);
    };
    void round();
    return () => {
      isOver = true;
      clearTimeout(timer);
      underway.current?.abort();
    };
  }, [run, everyMs, isActive]);

  const refresh = useCallback(async () => {
    setRefreshing(true);
    await run();
    setRefreshing(false);
  }, [run]);

  return { ...state, isRefreshing, refresh };
}
