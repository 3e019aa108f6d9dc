import { useState } from 'react';
import { FlatList, View } from 'react-native';

import Avatar from '../components/Avatar';
import Badge from '../components/Badge';
import Button from '../components/Button';
import Field from '../components/Field';
import IconButton from '../components/IconButton';
import Row from '../components/Row';
import Screen from '../components/Screen';
import Skeleton from '../components/Skeleton';
import Text from '../components/Text';
import { roomName } from '../names';
import { useChat } from '../state/chat';
import { useRooms } from '../state/rooms';
import { space } from '../theme/tokens';
import { styled, useIsWide } from '../theme/theme';
import { plural, shortTime } from '../words';
import ConnectionBanner from './ConnectionBanner';

export default function RoomsPane({ open, onOpen }) {
  const { rooms, isLoading, error, refresh } = useRooms();
  const { waiting } = useChat();
  const [isAdding, setAdding] = useState(false);
  const [isRefreshing, setRefreshing] = useState(false);
  const styles = useStyles();
  const isWide = useIsWide();
  const pull = async () => {
    setRefreshing(true);
    await refresh();
    setRefreshing(false);
  };
  const enter = (room) => {
    setAdding(false);
    onOpen(room);
  };
  return (
    <Screen title="Chat" actions={<IconButton icon={isAdding ? 'close' : 'add'} label={isAdding ? 'Cancel' : 'New room'} tone="primary" onPress={() => setAdding(!isAdding)} />}>
      {/* Beside an open room it would be there twice. */}
      {!(isWide && open) && <ConnectionBanner />}
      {isAdding && <NewRoom onEnter={enter} />}
      {isLoading && <Skeleton />}
      {!isLoading && (
        <FlatList
          data={rooms}
          role="list"
          aria-label="Rooms"
          keyExtractor={({ room }) => room}
          contentContainerStyle={styles.list}
          refreshing={isRefreshing}
          onRefresh={pull}
          renderItem={({ item }) => (
            <Room {...item} isKnown={!error} isOpen={item.room === open} waiting={waiting.filter(({ room }) => room === item.room).length} onPress={() => enter(item.room)} />
          )}
        />
      )}
    </Screen>
  );
}

function Room({ room, head, last, lastAt, unread, waiting, isKnown, isOpen, onPress }) {
  const styles = useStyles();
  const preview = last ? `${last.user}: ${last.text}` : head > 0 ? plural(head, 'message') : isKnown ? 'Nobody has said anything yet' : 'Not loaded yet';
  return (
    <Row label={`${room}, ${unread > 0 ? `${unread} unread` : 'nothing unread'}`} selected={isOpen} onPress={onPress}>
      <Avatar name={room} size={44} />
      <View style={styles.words}>
        <View style={styles.line}>
          <Text kind="label" numberOfLines={1} style={styles.grow}>
            {room}
          </Text>
          {lastAt && (
            <Text kind="small" tone={unread > 0 ? 'primary' : 'muted'}>
              {shortTime(lastAt)}
            </Text>
          )}
        </View>
        <View style={styles.line}>
          <Text kind="small" tone={waiting > 0 ? 'warn' : 'muted'} numberOfLines={1} style={styles.grow}>
            {waiting > 0 ? `${plural(waiting, 'message')} waiting to be sent` : preview}
          </Text>
          <Badge count={unread} />
        </View>
      </View>
    </Row>
  );
}

function NewRoom({ onEnter }) {
  const styles = useStyles();
  const [text, setText] = useState('');
  const [error, setError] = useState(undefined);
  const submit = () => {
    const wrong = roomName(text.trim());
    setError(wrong);
    if (!wrong) onEnter(text.trim());
  };
  return (
    <View style={styles.adding}>
      <Field label="Room" placeholder="team-lunch" value={text} onChangeText={setText} error={error} autoCapitalize="none" autoCorrect={false} autoFocus onSubmitEditing={submit} />
      <Button title="Enter room" kind="primary" onPress={submit} />
    </View>
  );
}

const useStyles = styled(() => ({
  list: { paddingBottom: space.l, gap: 2 },
  words: { flex: 1, gap: 2 },
  line: { flexDirection: 'row', alignItems: 'center', gap: space.s },
  grow: { flex: 1 },
  adding: { padding: space.l, paddingTop: 0, gap: space.m },
}));
