import { ActivityIndicator, Pressable } from 'react-native';

import { radius, space, TOUCH } from '../theme/tokens';
import { styled, useColors } from '../theme/theme';
import Icon from './Icon';
import Text from './Text';

/** `kind` is primary, plain, danger (does it), risky (leads there) or quiet. */
export default function Button({ title, icon, kind = 'plain', busy = false, disabled = false, onPress, style, ...rest }) {
  const styles = useStyles();
  const colors = useColors();
  const tone = disabled ? 'muted' : { primary: 'onPrimary', danger: 'onFail', plain: 'text', risky: 'fail', quiet: 'primary' }[kind];
  const isOff = disabled || busy;
  return (
    <Pressable
      role="button"
      aria-label={title}
      aria-disabled={isOff}
      aria-busy={busy}
      disabled={isOff}
      onPress={onPress}
      style={({ pressed, hovered }) => [styles.button, styles[kind], (pressed || hovered) && styles.touched, busy && styles.busy, disabled && styles.off, style]}
      {...rest}
    >
      {busy ? <ActivityIndicator size="small" color={colors[tone]} /> : icon && <Icon name={icon} size={18} tone={tone} />}
      <Text kind="label" tone={tone} numberOfLines={1}>
        {title}
      </Text>
    </Pressable>
  );
}

const useStyles = styled((colors) => ({
  button: {
    minHeight: TOUCH,
    paddingHorizontal: space.l,
    borderRadius: radius.m,
    flexDirection: 'row',
    alignItems: 'center',
    justifyContent: 'center',
    gap: space.s,
  },
  primary: { backgroundColor: colors.primary },
  danger: { backgroundColor: colors.fail },
  plain: { backgroundColor: colors.surface, borderWidth: 1, borderColor: colors.border },
  risky: { backgroundColor: colors.surface, borderWidth: 1, borderColor: colors.border },
  quiet: { backgroundColor: 'transparent' },
  touched: { opacity: 0.85 },
  busy: { opacity: 0.6 },
  off: { backgroundColor: colors.sunken },
}));
