import { useCallback } from 'react';
import { View } from 'react-native';

import Bars from '../components/Bars';
import Card from '../components/Card';
import EmptyState from '../components/EmptyState';
import ErrorState from '../components/ErrorState';
import Notice from '../components/Notice';
import Screen from '../components/Screen';
import Scroll, { COLUMN } from '../components/Scroll';
import Skeleton from '../components/Skeleton';
import Text from '../components/Text';
import { useClient } from '../state/client';
import { useLoad } from '../state/useLoad';
import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';
import { clockTime, explain, number, plural } from '../words';

const EVERY_MS = 5_000;

/** What happened: in all, in the last minutes, and most of it. */
export default function AnalyticsScreen() {
  const styles = useStyles();
  const client = useClient();
  const { data, error, at, isRefreshing, refresh } = useLoad(useCallback((options) => client.analytics.summary(options), [client]), { everyMs: EVERY_MS });
  if (!data) {
    return <Screen title="Analytics" column={COLUMN}>{error ? <ErrorState error={error} onRetry={refresh} /> : <Skeleton />}</Screen>;
  }
  const { totals, last_minutes: minutes, hot } = data;
  const names = Object.entries(totals.by_name).sort(([, a], [, b]) => b - a);
  const recent = minutes.reduce((sum, { count }) => sum + count, 0);
  const busiest = minutes.reduce((most, each) => (each.count > most.count ? each : most), minutes[0]);
  return (
    <Screen title="Analytics" column={COLUMN}>
      <Scroll isRefreshing={isRefreshing} onRefresh={refresh}>
        {error && (
          <Notice tone="fail" title={explain(error).title}>
            {`These numbers are of ${clockTime(at)}.`}
          </Notice>
        )}
        <View style={styles.figures}>
          <Figure value={totals.events} name="events in all" />
          <Figure value={recent} name={`in the last ${minutes.length} minutes`} />
          <Figure value={names.length} name="kinds of events" />
        </View>
        <Card title="The last minutes">
          <Bars
            values={minutes.map(({ count }) => count)}
            height={120}
            highlightLast
            label={`Events of the last ${minutes.length} minutes: ${number(recent)} in all, most at ${clockTime(busiest.minute)} with ${number(busiest.count)}`}
          />
          <View style={styles.axis}>
            <Text kind="small" tone="muted">
              {clockTime(minutes[0].minute)}
            </Text>
            <Text kind="small" tone="muted">
              now
            </Text>
          </View>
        </Card>
        {names.length === 0 ? (
          <EmptyState icon="bar-chart-outline" title="Nothing has happened yet">
            Events appear here as soon as somebody chats, or an app sends one.
          </EmptyState>
        ) : (
          <>
            {hot.length > 0 && <Counts title="Hot right now" counts={hot.map(({ name, count }) => [name, count])} />}
            <Counts title="Since the beginning" counts={names.slice(0, 12)} />
          </>
        )}
      </Scroll>
    </Screen>
  );
}

function Figure({ value, name }) {
  const styles = useStyles();
  return (
    <View role="group" aria-label={`${number(value)} ${name}`} style={styles.figure}>
      <Text kind="number">{number(value)}</Text>
      <Text kind="small" tone="muted">
        {name}
      </Text>
    </View>
  );
}

function Counts({ title, counts }) {
  const styles = useStyles();
  const top = Math.max(...counts.map(([, count]) => count));
  return (
    <Card title={title}>
      {counts.map(([name, count]) => (
        <View key={name} role="group" aria-label={`${name}, ${plural(count, 'event')}`} style={styles.count}>
          <View style={[styles.share, { width: `${(count / top) * 100}%` }]} />
          <Text kind="label" numberOfLines={1} style={styles.name}>
            {name}
          </Text>
          <Text kind="label" style={styles.value}>
            {number(count)}
          </Text>
        </View>
      ))}
    </Card>
  );
}

const useStyles = styled((colors) => ({
  figures: { flexDirection: 'row', flexWrap: 'wrap', gap: space.m },
  figure: {
    flexGrow: 1,
    flexBasis: 100,
    padding: space.l,
    borderRadius: radius.l,
    borderWidth: 1,
    borderColor: colors.border,
    backgroundColor: colors.surface,
  },
  axis: { flexDirection: 'row', justifyContent: 'space-between', marginTop: -space.s },
  count: { flexDirection: 'row', alignItems: 'center', gap: space.m, height: 36, paddingHorizontal: space.m },
  share: { position: 'absolute', left: 0, top: 0, bottom: 0, minWidth: 6, borderRadius: radius.s, backgroundColor: colors.primarySoft },
  name: { flex: 1 },
  value: { fontVariant: ['tabular-nums'] },
}));
