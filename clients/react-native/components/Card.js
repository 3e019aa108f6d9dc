import { View } from 'react-native';

import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';
import Text from './Text';

export default function Card({ title, aside, children, style }) {
  const styles = useStyles();
  return (
    <View style={[styles.card, style]}>
      {title && (
        <View style={styles.head}>
          <Text kind="heading" style={styles.title}>
            {title}
          </Text>
          {aside}
        </View>
      )}
      {children}
    </View>
  );
}

const useStyles = styled((colors) => ({
  card: { backgroundColor: colors.surface, borderRadius: radius.l, borderWidth: 1, borderColor: colors.border, padding: space.l, gap: space.m },
  head: { flexDirection: 'row', alignItems: 'center', gap: space.s },
  title: { flex: 1 },
}));
