import { Pressable } from 'react-native';

import { radius, TOUCH } from '../theme/tokens';
import { styled } from '../theme/theme';
import Icon from './Icon';

/** A picture to press; `label` is its name for those who do not see it. */
export default function IconButton({ icon, label, tone = 'text', filled = false, disabled = false, onPress, style }) {
  const styles = useStyles();
  return (
    <Pressable
      role="button"
      aria-label={label}
      aria-disabled={disabled}
      disabled={disabled}
      onPress={onPress}
      style={({ pressed, hovered }) => [
        styles.button,
        filled && styles.filled,
        (pressed || hovered) && (filled ? styles.faded : styles.touched),
        disabled && filled && styles.off,
        style,
      ]}
    >
      <Icon name={icon} size={22} tone={disabled ? 'muted' : filled ? 'onPrimary' : tone} />
    </Pressable>
  );
}

const useStyles = styled((colors) => ({
  button: { width: TOUCH, height: TOUCH, borderRadius: radius.round, alignItems: 'center', justifyContent: 'center' },
  filled: { backgroundColor: colors.primary },
  touched: { backgroundColor: colors.sunken },
  faded: { opacity: 0.85 },
  off: { backgroundColor: colors.sunken },
}));
