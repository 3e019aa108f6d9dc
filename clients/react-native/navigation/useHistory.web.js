// Where one is, and the way back: in a browser its own history, so that its buttons, links and reloading work.

import { useCallback, useEffect, useState } from 'react';

import { fromPath, toPath } from './routes';

export function useHistory() {
  const [route, setRoute] = useState(() => fromPath(window.location.pathname));

  useEffect(() => {
    const look = () => setRoute(fromPath(window.location.pathname));
    window.addEventListener('popstate', look);
    return () => window.removeEventListener('popstate', look);
  }, []);

  const go = useCallback((next) => {
    if (toPath(next) !== window.location.pathname) window.history.pushState(null, '', toPath(next));
    setRoute(next);
  }, []);
  const replace = useCallback((next) => {
    window.history.replaceState(null, '', toPath(next));
    setRoute(next);
  }, []);
  // To the list, not to where one came from: the page may have been opened right here.
  const back = useCallback(() => go({ tab: fromPath(window.location.pathname).tab, open: undefined }), [go]);

  return { route, go, replace, back };
}
