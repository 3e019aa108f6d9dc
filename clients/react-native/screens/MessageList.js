import { useCallback, useMemo, useRef, useState } from 'react';
import { ActivityIndicator, FlatList, View } from 'react-native';

import Button from '../components/Button';
import Notice from '../components/Notice';
import Text from '../components/Text';
import { lines } from '../state/lines';
import { radius, space } from '../theme/tokens';
import { styled, useColors } from '../theme/theme';
import { explain, plural } from '../words';
import Bubble from './Bubble';

/** So far from the newest message one counts as reading what was before. */
const FAR = 240;

/** The newest message is at the bottom; what was before comes as one scrolls up. */
export default function MessageList({ messages, waiting, refused, me, isLoading, isFirstKnown, error, onOlder, onRetry, onDismiss }) {
  const styles = useStyles();
  const colors = useColors();
  const list = useRef(null);
  /** The newest message when one began to read above, or nothing. */
  const [left, setLeft] = useState(undefined);
  const data = useMemo(() => lines({ messages, waiting, refused, me }), [messages, waiting, refused, me]);
  const newest = messages.at(-1)?.seq ?? 0;
  const missed = left === undefined ? 0 : messages.filter(({ seq, user }) => seq > left && user !== me).length;

  const scrolled = useCallback(
    ({ nativeEvent }) => setLeft((before) => (nativeEvent.contentOffset.y < FAR ? undefined : (before ?? newest))),
    [newest],
  );
  const down = () => list.current?.scrollToOffset({ offset: 0, animated: true });
  return (
    <View style={styles.whole}>
      <FlatList
        ref={list}
        inverted
        data={data}
        role="log"
        aria-label="Messages"
        keyExtractor={({ key }) => key}
        renderItem={({ item }) => (item.kind === 'day' ? <Day day={item.day} /> : <Bubble {...item} onDismiss={onDismiss} />)}
        onScroll={scrolled}
        scrollEventThrottle={100}
        onEndReached={onOlder}
        onEndReachedThreshold={0.6}
        keyboardShouldPersistTaps="handled"
        keyboardDismissMode="interactive"
        maintainVisibleContentPosition={{ minIndexForVisible: 1 }}
        contentContainerStyle={styles.content}
        ListFooterComponent={
          error ? (
            <Notice tone="fail" title={explain(error).title} action={<Button title="Try again" onPress={onRetry} />} />
          ) : isFirstKnown ? (
            <Text kind="small" tone="muted" style={styles.begin}>
              This is where it began.
            </Text>
          ) : (
            isLoading && <ActivityIndicator color={colors.primary} style={styles.begin} />
          )
        }
      />
      {left !== undefined && (
        <Button
          kind={missed > 0 ? 'primary' : 'plain'}
          icon="arrow-down"
          title={missed > 0 ? plural(missed, 'new message') : 'To the newest'}
          onPress={down}
          style={styles.down}
        />
      )}
    </View>
  );
}

function Day({ day }) {
  const styles = useStyles();
  return (
    <View style={styles.day}>
      <Text kind="tiny" tone="muted">
        {day}
      </Text>
    </View>
  );
}

const useStyles = styled((colors) => ({
  whole: { flex: 1 },
  content: { paddingHorizontal: space.m, paddingVertical: space.m },
  begin: { textAlign: 'center', padding: space.l },
  day: {
    alignSelf: 'center',
    paddingHorizontal: space.m,
    paddingVertical: space.xs,
    marginVertical: space.m,
    borderRadius: radius.round,
    backgroundColor: colors.sunken,
  },
  down: { position: 'absolute', bottom: space.m, alignSelf: 'center', borderRadius: radius.round, boxShadow: `0 4px 16px ${colors.shade}` },
}));
