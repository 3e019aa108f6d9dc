import { View } from 'react-native';

import { radius } from '../theme/tokens';
import { styled } from '../theme/theme';

/** A small bar chart; `label` says in words what it shows. Where there are fewer than `count` values yet, they stand at the right. */
export default function Bars({ values, count = values.length, label, height = 96, highlightLast = false, tone }) {
  const styles = useStyles();
  const top = Math.max(1, ...values);
  const missing = Math.max(0, count - values.length);
  return (
    <View role="img" aria-label={label} style={[styles.bars, { height, gap: count > 20 ? 1 : 3 }]}>
      {missing > 0 && <View style={{ flex: missing }} />}
      {values.map((value, at) => (
        <View
          key={at}
          style={[
            styles.bar,
            value === 0 && styles.none,
            tone === 'quiet' && styles.quiet,
            highlightLast && at === values.length - 1 && styles.last,
            { height: value === 0 ? 3 : Math.max(4, (value / top) * height) },
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
