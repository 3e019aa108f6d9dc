import { View } from 'react-native';

import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';
import Button from './Button';
import Icon from './Icon';
import Text from './Text';

/** What stands where there is nothing to show: why, and what to do. */
export default function EmptyState({ icon, title, children, action, onAction, tone = 'primary' }) {
  const styles = useStyles();
  return (
    <View style={styles.empty} role={tone === 'fail' ? 'alert' : undefined}>
      <View style={[styles.circle, tone === 'fail' && styles.fail]}>
        <Icon name={icon} size={30} tone={tone} />
      </View>
      <Text kind="heading" style={styles.centred}>
        {title}
      </Text>
      {children && (
        <Text tone="muted" style={styles.centred}>
          {children}
        </Text>
      )}
      {action && <Button kind={tone === 'fail' ? 'plain' : 'primary'} title={action} onPress={onAction} style={styles.action} />}
    </View>
  );
}

const useStyles = styled((colors) => ({
  empty: { flexGrow: 1, alignItems: 'center', justifyContent: 'center', padding: space.xl, gap: space.s },
  circle: {
    width: 68,
    height: 68,
    borderRadius: radius.round,
    alignItems: 'center',
    justifyContent: 'center',
    backgroundColor: colors.primarySoft,
    marginBottom: space.s,
  },
  fail: { backgroundColor: colors.failSoft },
  centred: { textAlign: 'center', maxWidth: 360 },
  action: { marginTop: space.m },
}));
