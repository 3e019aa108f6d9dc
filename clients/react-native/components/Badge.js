import { View } from 'react-native';

import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';
import Text from './Text';

/** How many wait to be read; nothing for none. */
export default function Badge({ count }) {
  const styles = useStyles();
  if (!count) return null;
  return (
    <View aria-label={`${count} unread`} style={styles.badge}>
      <Text kind="tiny" tone="onPrimary">
        {count > 99 ? '99+' : count}
      </Text>
    </View>
  );
}

const useStyles = styled((colors) => ({
  badge: {
    minWidth: 20,
    height: 20,
    paddingHorizontal: space.xs + 2,
    borderRadius: radius.round,
    alignItems: 'center',
    justifyContent: 'center',
    backgroundColor: colors.primary,
  },
}));
