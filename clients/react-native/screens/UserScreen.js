import { View } from 'react-native';

import Avatar from '../components/Avatar';
import Card from '../components/Card';
import ErrorState from '../components/ErrorState';
import Screen from '../components/Screen';
import Scroll from '../components/Scroll';
import Skeleton from '../components/Skeleton';
import Text from '../components/Text';
import { useUser } from '../state/useUser';
import { space } from '../theme/tokens';
import { fullDate } from '../words';
import DeleteUser from './DeleteUser';
import UserForm from './UserForm';

/** One person, to be looked at, changed and deleted; without an `id` somebody new. */
export default function UserScreen({ id, onBack, onCreated, onChanged, onDeleted }) {
  const { user, error, load } = useUser(id);
  const isNew = id === undefined;
  return (
    <Screen title={isNew ? 'New person' : (user?.name ?? 'Person')} onBack={onBack}>
      {!isNew && !user && !error && <Skeleton rows={2} />}
      {!user && error && <ErrorState error={error} onRetry={load} />}
      {(isNew || user) && (
        <Scroll column={560}>
          {user && (
            <View style={{ alignItems: 'center', gap: space.s, paddingVertical: space.m }}>
              <Avatar name={user.name} size={84} />
              <Text kind="title" style={{ textAlign: 'center' }}>
                {user.name}
              </Text>
              <Text tone="muted">{user.email}</Text>
            </View>
          )}
          <Card title={isNew ? 'Who is it?' : 'Details'}>
            <UserForm user={user} onCreated={onCreated} onSaved={onChanged} onReload={load} />
          </Card>
          {user && (
            <Card>
              <Fact name="Member since" value={fullDate(user.created_at)} />
              <Fact name="Last changed" value={fullDate(user.updated_at)} />
              <Fact name="Id" value={user.id} />
            </Card>
          )}
          {user && <DeleteUser user={user} onDeleted={onDeleted} onReload={load} />}
        </Scroll>
      )}
    </Screen>
  );
}

const Fact = ({ name, value }) => (
  <View style={{ flexDirection: 'row', justifyContent: 'space-between', gap: space.l, flexWrap: 'wrap' }}>
    <Text kind="small" tone="muted">
      {name}
    </Text>
    <Text kind="small" selectable style={{ flexShrink: 1 }}>
      {value}
    </Text>
  </View>
);
