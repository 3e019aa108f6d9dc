import { useEffect, useMemo } from 'react';
import { KeyboardAvoidingView, Platform, View } from 'react-native';

import Avatar from '../components/Avatar';
import EmptyState from '../components/EmptyState';
import ErrorState from '../components/ErrorState';
import Screen from '../components/Screen';
import Skeleton from '../components/Skeleton';
import Text from '../components/Text';
import { useIsActive } from '../navigation/Navigation';
import { useChat } from '../state/chat';
import { useRooms } from '../state/rooms';
import { useIsFront } from '../state/useIsFront';
import { useRoom } from '../state/useRoom';
import Composer from './Composer';
import ConnectionBanner from './ConnectionBanner';
import MessageList from './MessageList';

/** What is said in a room, and what one says there. */
export default function RoomScreen({ name, onBack }) {
  const { connection, status, waiting, refused, dismiss } = useChat();
  const { messages, isLoading, isFirstKnown, error, older, retry, send } = useRoom(name);
  const isActive = useIsActive();
  const isFront = useIsFront();

  const seen = messages.at(-1)?.seq;
  useEffect(() => {
    if (connection && isActive && isFront && seen !== undefined) connection.room(name).markRead(seen);
  }, [connection, name, seen, isActive, isFront]);

  const { saw } = useRooms();
  const newest = messages.at(-1);
  useEffect(() => {
    if (newest) saw(newest);
  }, [newest, saw]);

  const own = useMemo(() => waiting.filter(({ room }) => room === name), [waiting, name]);
  const failed = useMemo(() => refused.filter(({ room }) => room === name), [refused, name]);
  const isEmpty = messages.length + own.length + failed.length === 0;
  const subtitle = (
    <Text kind="small" tone="muted" numberOfLines={1}>
      {status.status === 'online' ? `Live · ${status.replica}` : 'Not connected'}
    </Text>
  );

  return (
    <Screen title={name} subtitle={subtitle} leading={<Avatar name={name} size={36} />} onBack={onBack}>
      <KeyboardAvoidingView style={{ flex: 1 }} behavior={Platform.OS === 'ios' ? 'padding' : undefined}>
        <ConnectionBanner />
        <View style={{ flex: 1 }}>
          {isEmpty && isLoading && <Skeleton />}
          {isEmpty && !isLoading && error && <ErrorState error={error} onRetry={retry} />}
          {isEmpty && !isLoading && !error && (
            <EmptyState icon="chatbubble-ellipses-outline" title="It is quiet here">
              Say the first word.
            </EmptyState>
          )}
          {!isEmpty && (
            <MessageList
              messages={messages}
              waiting={own}
              refused={failed}
              me={connection?.user}
              isLoading={isLoading}
              isFirstKnown={isFirstKnown}
              // While there is no connection the banner says so, and afterwards it is loaded by itself.
              error={status.status === 'online' ? error : undefined}
              onOlder={older}
              onRetry={retry}
              onDismiss={dismiss}
            />
          )}
        </View>
        <Composer room={name} disabled={!connection} onSend={send} />
      </KeyboardAvoidingView>
    </Screen>
  );
}
