import { View } from 'react-native';

import { radius } from '../theme/tokens';
import { styled } from '../theme/theme';

/**
 * A small bar chart; `label` says in words what it shows. Where there are fewer than `count` values yet, they stand at the
 * right, after nothing.
 */
export default function Bars({ values, count = values.length, label, height = 96, highlightLast = false, tone }) {
  const styles = useStyles();
  const top = Math.max(1, ...values);
  const all = [...Array(Math.max(0, count - values.length)).fill(0), ...values];
  return (
    <View role="img" aria-label={label} style={[styles.bars, { height, gap: count > 20 ? 1 : 3 }]}>
      {all.map((value, at) => (
        <View
          key={at}
          style={[
            styles.bar,
            tone === 'quiet' && styles.quiet,
            value === 0 && styles.none,
            highlightLast && at === all.length - 1 && styles.last,
            { height: value === 0 ? 2 : Math.max(4, (value / top) * height) },
          ]}
        />
      ))}
    </View>
  );
}

const useStyles = styled((colors) => ({
  bars: { flexDirection: 'row', alignItems: 'flex-end' },
  bar: { flex: 1, borderRadius: radius.s / 4, backgroundColor: colors.primary, opacity: 0.75 },
  last: { opacity: 1 },
  quiet: { backgroundColor: colors.muted, opacity: 0.5 },
  none: { backgroundColor: colors.border, opacity: 1 },
}));
