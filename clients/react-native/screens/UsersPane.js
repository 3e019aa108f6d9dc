import { useState } from 'react';
import { ActivityIndicator, FlatList, TextInput, View } from 'react-native';

import Avatar from '../components/Avatar';
import Button from '../components/Button';
import EmptyState from '../components/EmptyState';
import ErrorState from '../components/ErrorState';
import Icon from '../components/Icon';
import IconButton from '../components/IconButton';
import Notice from '../components/Notice';
import Row from '../components/Row';
import Screen from '../components/Screen';
import Skeleton from '../components/Skeleton';
import Text from '../components/Text';
import { radius, space, text as sizes } from '../theme/tokens';
import { focusRing, styled, useColors } from '../theme/theme';
import { explain } from '../words';

/** Everybody, newest first, or those who match; more come as one scrolls down. */
export default function UsersPane({ users, isLoading, error, isRefreshing, more, refresh, q, text, onText, open, onOpen, onNew }) {
  const styles = useStyles();
  const colors = useColors();
  const isEmpty = users.length === 0;
  const [isFocused, setFocused] = useState(false);
  return (
    <Screen title="People" actions={<IconButton icon="person-add" label="New person" tone="primary" onPress={onNew} />}>
      <View style={[styles.search, isFocused && styles.focused]}>
        <Icon name="search" size={18} />
        <TextInput
          role="searchbox"
          aria-label="Search people"
          placeholder="Search by name or email"
          placeholderTextColor={colors.muted}
          selectionColor={colors.primary}
          value={text}
          onChangeText={onText}
          onFocus={() => setFocused(true)}
          onBlur={() => setFocused(false)}
          autoCapitalize="none"
          autoCorrect={false}
          style={styles.input}
        />
        {text !== '' && <IconButton icon="close-circle" label="Clear search" tone="muted" onPress={() => onText('')} style={styles.clear} />}
      </View>
      {isEmpty && isLoading && <Skeleton rows={8} />}
      {isEmpty && error && !isLoading && <ErrorState error={error} onRetry={refresh} />}
      {isEmpty && !isLoading && !error && (q ? <Nobody q={q} /> : <Everybody onNew={onNew} />)}
      {!isEmpty && (
        <FlatList
          data={users}
          role="list"
          aria-label="List of people"
          keyExtractor={({ id }) => id}
          renderItem={({ item }) => <Person {...item} isOpen={item.id === open} onPress={() => onOpen(item.id)} />}
          onEndReached={more}
          onEndReachedThreshold={0.8}
          refreshing={isRefreshing}
          onRefresh={refresh}
          keyboardShouldPersistTaps="handled"
          contentContainerStyle={styles.list}
          ListFooterComponent={
            error ? (
              <Notice tone="fail" title={explain(error).title} action={<Button title="Try again" onPress={refresh} />} style={styles.foot} />
            ) : (
              isLoading && <ActivityIndicator color={colors.primary} style={styles.foot} />
            )
          }
        />
      )}
    </Screen>
  );
}

function Person({ name, email, isOpen, onPress }) {
  return (
    <Row label={`${name}, ${email}`} selected={isOpen} onPress={onPress}>
      <Avatar name={name} size={44} />
      <View style={{ flex: 1, gap: 2 }}>
        <Text kind="label" numberOfLines={1}>
          {name}
        </Text>
        <Text kind="small" tone="muted" numberOfLines={1}>
          {email}
        </Text>
      </View>
      <Icon name="chevron-forward" size={18} />
    </Row>
  );
}

const Nobody = ({ q }) => (
  <EmptyState icon="search" title="Nobody found">
    {`No name or email has “${q}” in it.`}
  </EmptyState>
);

const Everybody = ({ onNew }) => (
  <EmptyState icon="people-outline" title="Nobody is here yet" action="New person" onAction={onNew}>
    Create the first account.
  </EmptyState>
);

const useStyles = styled((colors) => ({
  search: {
    flexDirection: 'row',
    alignItems: 'center',
    gap: space.s,
    height: 44,
    marginHorizontal: space.l,
    marginBottom: space.s,
    paddingLeft: space.m,
    borderRadius: radius.m,
    borderWidth: 1,
    borderColor: colors.sunken,
    backgroundColor: colors.sunken,
  },
  input: { ...sizes.body, lineHeight: undefined, flex: 1, minWidth: 0, height: 42, color: colors.text, outlineStyle: 'none' },
  focused: focusRing(colors),
  clear: { width: 40 },
  list: { paddingBottom: space.l, gap: 2 },
  foot: { margin: space.l },
}));
