import { Text as Plain } from 'react-native';

import { text } from '../theme/tokens';
import { useColors } from '../theme/theme';

/** Words in one of the sizes of the theme, in one of its colours. */
export default function Text({ kind = 'body', tone = 'text', style, ...rest }) {
  const colors = useColors();
  const heading = kind === 'title' || kind === 'heading' ? { role: 'heading', 'aria-level': kind === 'title' ? 1 : 2 } : undefined;
  return <Plain {...heading} {...rest} style={[text[kind], { color: colors[tone] }, style]} />;
}
