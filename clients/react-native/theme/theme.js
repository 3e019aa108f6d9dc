// Light or dark, as the system says; styles are made once for each.

import { StyleSheet, useColorScheme, useWindowDimensions } from 'react-native';

import { dark, light } from './tokens';

export function useColors() {
  return useColorScheme() === 'dark' ? dark : light;
}

/** The hook of a component's styles: `const useStyles = styled((colors) => ({ … }))`. */
export function styled(make) {
  const made = new Map();
  return () => {
    const colors = useColors();
    if (!made.has(colors)) made.set(colors, StyleSheet.create(make(colors)));
    return made.get(colors);
  };
}

/** What shows where one types; a browser's own outline has corners that are not ours. */
export const focusRing = (colors) => ({ borderColor: colors.primary, boxShadow: `0 0 0 1px ${colors.primary}` });

const WIDE = 900;

/** Whether there is room for two panes and a sidebar. */
export function useIsWide() {
  return useWindowDimensions().width >= WIDE;
}
