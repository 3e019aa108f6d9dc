import { useState } from 'react';
import { Platform, TextInput, View } from 'react-native';
import { useSafeAreaInsets } from 'react-native-safe-area-context';

import IconButton from '../components/IconButton';
import { radius, space, text as sizes } from '../theme/tokens';
import { focusRing, styled, useColors, useIsWide } from '../theme/theme';

const HEIGHT_MIN = 44;
const HEIGHT_MAX = 140;

/** Where one writes; Enter sends at a keyboard, and Shift+Enter begins a new line. */
export default function Composer({ room, disabled, onSend }) {
  const styles = useStyles();
  const colors = useColors();
  const isWide = useIsWide();
  const { bottom } = useSafeAreaInsets();
  const [text, setText] = useState('');
  const [height, setHeight] = useState(HEIGHT_MIN);
  const [isFocused, setFocused] = useState(false);

  const isEmpty = text.trim() === '';
  const send = () => {
    if (isEmpty || disabled) return;
    setText('');
    setHeight(HEIGHT_MIN);
    onSend(text.trim());
  };
  const press = (event) => {
    const { key, shiftKey, isComposing } = event.nativeEvent;
    if (Platform.OS !== 'web' || key !== 'Enter' || shiftKey || isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <View style={[styles.bar, { paddingBottom: isWide ? space.m : Math.max(space.s, bottom) }]}>
      <TextInput
        aria-label={`Message to ${room}`}
        placeholder="Message"
        placeholderTextColor={colors.muted}
        selectionColor={colors.primary}
        multiline
        value={text}
        onChangeText={setText}
        onKeyPress={press}
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
        onContentSizeChange={({ nativeEvent }) => setHeight(Math.min(HEIGHT_MAX, Math.max(HEIGHT_MIN, nativeEvent.contentSize.height)))}
        style={[styles.input, isFocused && styles.focused, Platform.OS === 'web' && { height }]}
      />
      <IconButton icon="arrow-up" label="Send" filled disabled={isEmpty || disabled} onPress={send} />
    </View>
  );
}

const useStyles = styled((colors) => ({
  bar: {
    flexDirection: 'row',
    alignItems: 'flex-end',
    gap: space.s,
    paddingHorizontal: space.m,
    paddingTop: space.s,
    backgroundColor: colors.surface,
    borderTopWidth: 1,
    borderColor: colors.border,
  },
  input: {
    ...sizes.body,
    flex: 1,
    minHeight: HEIGHT_MIN,
    maxHeight: HEIGHT_MAX,
    paddingHorizontal: space.l,
    paddingVertical: 10,
    borderRadius: 22,
    borderWidth: 1,
    borderColor: colors.sunken,
    backgroundColor: colors.sunken,
    color: colors.text,
    outlineStyle: 'none',
  },
  focused: focusRing(colors),
}));
