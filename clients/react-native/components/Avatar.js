import { View } from 'react-native';

import { avatars, radius, text } from '../theme/tokens';
import Text from './Text';

/** The initials of somebody, always in the same colour. */
export default function Avatar({ name, size = 40 }) {
  const sum = [...name].reduce((total, letter) => total + letter.codePointAt(0), 0);
  const backgroundColor = avatars[sum % avatars.length];
  return (
    <View aria-hidden style={{ width: size, height: size, borderRadius: radius.round, backgroundColor, alignItems: 'center', justifyContent: 'center' }}>
      <Text style={[text.label, { color: '#FFFFFF', fontSize: size * 0.38, lineHeight: size * 0.5 }]}>{initials(name)}</Text>
    </View>
  );
}

function initials(name) {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join('') || '?';
}
