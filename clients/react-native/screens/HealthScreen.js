import { useCallback, useEffect, useState } from 'react';
import { View } from 'react-native';

import Card from '../components/Card';
import ErrorState from '../components/ErrorState';
import Icon from '../components/Icon';
import Notice from '../components/Notice';
import Screen from '../components/Screen';
import Scroll, { COLUMN } from '../components/Scroll';
import Skeleton from '../components/Skeleton';
import StatusPill from '../components/StatusPill';
import Text from '../components/Text';
import { useClient } from '../state/client';
import { useLoad } from '../state/useLoad';
import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';
import { clockTime, duration, explain } from '../words';
import Replica, { LOOKS } from './Replica';

const EVERY_MS = 2_000;

const TITLES = { users: 'Users', chat: 'Chat', analytics: 'Analytics' };
const WORDS = { pass: 'All systems are healthy', warn: 'Something is degraded', fail: 'Something is down' };
const ICONS = { pass: 'checkmark-circle', warn: 'warning', fail: 'close-circle' };

/** The health of every service and replica, looked at every two seconds. */
export default function HealthScreen() {
  const styles = useStyles();
  const client = useClient();
  const { data, error, at, isRefreshing, refresh } = useLoad(useCallback((options) => client.health(options), [client]), { everyMs: EVERY_MS });
  const latencies = useLatencies(data, at);
  return (
    <Screen title="Health" column={COLUMN}>
      {!data && !error && <Skeleton />}
      {!data && error && <ErrorState error={error} onRetry={refresh} />}
      {data && (
        <Scroll isRefreshing={isRefreshing} onRefresh={refresh}>
          {error && (
            <Notice tone="fail" title={explain(error).title}>
              {`This is how it was at ${clockTime(at)}.`}
            </Notice>
          )}
          <View role="status" aria-label={WORDS[data.status]} style={[styles.hero, styles[data.status]]}>
            <Icon name={ICONS[data.status]} size={40} tone={data.status} />
            <View style={styles.words}>
              <Text kind="title" tone={data.status}>
                {WORDS[data.status]}
              </Text>
              <Text kind="small">{`Version ${data.version} · up ${duration(data.uptime_s)}`}</Text>
            </View>
          </View>
          {Object.entries(data.services).map(([name, { status, replicas }]) => (
            <Card key={name} title={TITLES[name] ?? name} aside={<StatusPill status={status} />}>
              {replicas.map((replica, number) => (
                <Replica key={replica.address} {...replica} isFirst={number === 0} latencies={latencies[replica.address] ?? []} />
              ))}
            </Card>
          ))}
        </Scroll>
      )}
    </Screen>
  );
}

/** The last latencies of each replica, by address. */
function useLatencies(data, at) {
  const [latencies, setLatencies] = useState({});
  useEffect(() => {
    if (!data) return;
    const replicas = Object.values(data.services).flatMap((service) => service.replicas);
    setLatencies((before) =>
      Object.fromEntries(replicas.map(({ address, status, latency_ms: ms = 0 }) => [address, [...(before[address] ?? []), status === 'fail' ? 0 : ms].slice(-LOOKS)])),
    );
  }, [data, at]);
  return latencies;
}

const useStyles = styled((colors) => ({
  hero: { flexDirection: 'row', alignItems: 'center', gap: space.l, padding: space.xl, borderRadius: radius.l },
  words: { flex: 1, gap: 2 },
  pass: { backgroundColor: colors.passSoft },
  warn: { backgroundColor: colors.warnSoft },
  fail: { backgroundColor: colors.failSoft },
}));
