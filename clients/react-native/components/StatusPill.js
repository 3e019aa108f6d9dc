import { View } from 'react-native';

import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';
import Icon from './Icon';
import Text from './Text';

const WORDS = { pass: 'Healthy', warn: 'Degraded', fail: 'Down' };
const ICONS = { pass: 'checkmark-circle', warn: 'warning', fail: 'close-circle' };

/** pass, warn or fail: in colour, in a shape and in a word. */
export default function StatusPill({ status }) {
  const styles = useStyles();
  return (
    <View style={[styles.pill, styles[status]]}>
      <Icon name={ICONS[status]} size={14} tone={status} />
      <Text kind="tiny" tone={status}>
        {WORDS[status]}
      </Text>
    </View>
  );
}

const useStyles = styled((colors) => ({
  pill: { flexDirection: 'row', alignItems: 'center', gap: space.xs, paddingHorizontal: space.s, paddingVertical: 3, borderRadius: radius.round },
  pass: { backgroundColor: colors.passSoft },
  warn: { backgroundColor: colors.warnSoft },
  fail: { backgroundColor: colors.failSoft },
}));
