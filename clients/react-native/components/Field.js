import { useId, useState } from 'react';
import { TextInput, View } from 'react-native';

import { radius, space, text } from '../theme/tokens';
import { focusRing, styled, useColors } from '../theme/theme';
import Text from './Text';

/** A labelled input, with what is wrong with it, or a hint, below. */
export default function Field({ label, hint, error, style, ref, ...input }) {
  const styles = useStyles();
  const colors = useColors();
  const [isFocused, setFocused] = useState(false);
  const id = useId();
  return (
    <View style={[styles.field, style]}>
      <Text kind="label" nativeID={`${id}-label`} aria-hidden>
        {label}
      </Text>
      <TextInput
        ref={ref}
        aria-label={label}
        aria-invalid={Boolean(error)}
        aria-describedby={error || hint ? `${id}-below` : undefined}
        accessibilityHint={error || hint}
        placeholderTextColor={colors.muted}
        selectionColor={colors.primary}
        {...input}
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
        style={[styles.input, isFocused && styles.focused, error && styles.wrong]}
      />
      {(error || hint) && (
        <Text kind="small" tone={error ? 'fail' : 'muted'} nativeID={`${id}-below`} role={error ? 'alert' : undefined}>
          {error ?? hint}
        </Text>
      )}
    </View>
  );
}

const useStyles = styled((colors) => ({
  field: { gap: space.xs + 2 },
  input: {
    ...text.body,
    lineHeight: undefined,
    minHeight: 48,
    paddingHorizontal: space.m,
    borderRadius: radius.m,
    borderWidth: 1,
    borderColor: colors.border,
    backgroundColor: colors.surface,
    color: colors.text,
    outlineStyle: 'none',
  },
  focused: focusRing(colors),
  wrong: { borderColor: colors.fail },
}));
