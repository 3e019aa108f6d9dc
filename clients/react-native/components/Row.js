import { Pressable } from 'react-native';

import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';

/** A line of a list that leads somewhere. */
export default function Row({ label, selected = false, onPress, children }) {
  const styles = useStyles();
  return (
    <Pressable
      role="button"
      aria-label={label}
      aria-selected={selected}
      onPress={onPress}
      style={({ pressed, hovered }) => [styles.row, (pressed || hovered) && styles.touched, selected && styles.selected]}
    >
      {children}
    </Pressable>
  );
}

const useStyles = styled((colors) => ({
  row: {
    flexDirection: 'row',
    alignItems: 'center',
    gap: space.m,
    minHeight: 64,
    marginHorizontal: space.s,
    paddingHorizontal: space.s,
    paddingVertical: space.s,
    borderRadius: radius.m,
  },
  touched: { backgroundColor: colors.sunken },
  selected: { backgroundColor: colors.primarySoft },
}));
