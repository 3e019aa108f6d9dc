import { View } from 'react-native';

import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';
import Icon from './Icon';
import Text from './Text';

const ICONS = { pass: 'checkmark-circle', warn: 'warning', fail: 'alert-circle' };

/** A line that says how something went, with what can be done about it beside. */
export default function Notice({ tone = 'warn', icon = ICONS[tone], title, children, action, style }) {
  const styles = useStyles();
  return (
    <View role={tone === 'fail' ? 'alert' : 'status'} aria-live="polite" style={[styles.notice, styles[tone], style]}>
      <Icon name={icon} tone={tone} />
      <View style={styles.words}>
        <Text kind="label" tone={tone}>
          {title}
        </Text>
        {children && <Text kind="small">{children}</Text>}
        {action && <View style={styles.action}>{action}</View>}
      </View>
    </View>
  );
}

const useStyles = styled((colors) => ({
  notice: { flexDirection: 'row', gap: space.m, padding: space.m, borderRadius: radius.m },
  words: { flex: 1, gap: 2 },
  action: { marginTop: space.s, flexDirection: 'row', flexWrap: 'wrap', gap: space.s },
  pass: { backgroundColor: colors.passSoft },
  warn: { backgroundColor: colors.warnSoft },
  fail: { backgroundColor: colors.failSoft },
}));
