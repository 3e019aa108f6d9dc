import { View } from 'react-native';

import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';

/** The shape of a list that is on its way. */
export default function Skeleton({ rows = 6 }) {
  const styles = useStyles();
  return (
    <View aria-label="Loading" aria-busy role="progressbar" style={styles.list}>
      {Array.from({ length: rows }, (_, row) => (
        <View key={row} style={[styles.row, { opacity: 1 - row / (rows + 1) }]}>
          <View style={styles.circle} />
          <View style={styles.lines}>
            <View style={[styles.line, { width: '55%' }]} />
            <View style={[styles.line, { width: '35%' }]} />
          </View>
        </View>
      ))}
    </View>
  );
}

const useStyles = styled((colors) => ({
  list: { padding: space.l, gap: space.l },
  row: { flexDirection: 'row', gap: space.m, alignItems: 'center' },
  circle: { width: 40, height: 40, borderRadius: radius.round, backgroundColor: colors.sunken },
  lines: { flex: 1, gap: space.s },
  line: { height: 12, borderRadius: radius.s, backgroundColor: colors.sunken },
}));
