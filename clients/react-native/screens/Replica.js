import { View } from 'react-native';

import Bars from '../components/Bars';
import Icon from '../components/Icon';
import Text from '../components/Text';
import { space } from '../theme/tokens';
import { styled } from '../theme/theme';
import { plural, sentence } from '../words';

/** Looks that its small chart shows. */
export const LOOKS = 24;

const ICONS = { pass: 'checkmark-circle', warn: 'warning', fail: 'close-circle' };
const WORDS = { pass: 'healthy', warn: 'degraded', fail: 'down' };

/** One replica: where it is, how quickly it answers, and how its parts are. */
export default function Replica({ address, status, latency_ms: latency, sockets, checks = {}, error, latencies, isFirst }) {
  const styles = useStyles();
  const parts = Object.entries(checks);
  const isDown = status === 'fail';
  return (
    <View role="group" aria-label={`${address}, ${WORDS[status]}`} style={[styles.replica, !isFirst && styles.line]}>
      <View style={styles.row}>
        <Icon name={ICONS[status]} size={18} tone={status} />
        <Text kind="label" style={styles.address} numberOfLines={1}>
          {address}
        </Text>
        <View style={styles.chart}>
          <Bars values={latencies} count={LOOKS} height={20} tone="quiet" label="How long its last answers took" />
        </View>
        <Text kind="label" style={styles.latency}>
          {isDown || latency === undefined ? '–' : `${latency.toFixed(1)} ms`}
        </Text>
      </View>
      {(parts.length > 0 || (sockets !== undefined && !isDown)) && (
        <View style={styles.parts}>
          {parts.map(([name, check]) => (
            <Part key={name} icon={ICONS[check.status]} tone={check.status} words={check.detail ? `${name}: ${check.detail}` : name} />
          ))}
          {sockets !== undefined && !isDown && <Part icon="link" tone="muted" words={plural(sockets, 'socket')} />}
        </View>
      )}
      {error && (
        <Text kind="small" tone="fail" style={styles.error}>
          {sentence(error)}
        </Text>
      )}
    </View>
  );
}

function Part({ icon, tone, words }) {
  const styles = useStyles();
  return (
    <View style={styles.part}>
      <Icon name={icon} size={13} tone={tone} />
      <Text kind="small" tone="muted">
        {words}
      </Text>
    </View>
  );
}

const useStyles = styled((colors) => ({
  replica: { gap: space.s },
  line: { paddingTop: space.m, borderTopWidth: 1, borderColor: colors.border },
  row: { flexDirection: 'row', alignItems: 'center', gap: space.s },
  address: { flex: 1 },
  chart: { width: 84 },
  latency: { minWidth: 64, textAlign: 'right', fontVariant: ['tabular-nums'] },
  parts: { flexDirection: 'row', flexWrap: 'wrap', gap: space.m, paddingLeft: 26 },
  error: { paddingLeft: 26 },
  part: { flexDirection: 'row', alignItems: 'center', gap: space.xs },
}));
