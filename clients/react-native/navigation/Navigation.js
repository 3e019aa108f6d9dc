import { createContext, use, useMemo } from 'react';

import { useHistory } from './useHistory';

const Navigation = createContext(null);
const Active = createContext(true);

/** Tells everything below where one is. */
export function NavigationProvider({ children }) {
  const { route, go, replace, back } = useHistory();
  const value = useMemo(() => ({ route, go, replace, back }), [route, go, replace, back]);
  return <Navigation value={value}>{children}</Navigation>;
}

/** `route` is where one is; `go`, `replace` and `back` lead elsewhere. */
export const useNavigation = () => use(Navigation);

/** What is open in a tab, also while another tab is shown. */
export const ActiveProvider = Active;

/** Whether the tab this is asked in is the one that is shown. */
export const useIsActive = () => use(Active);
