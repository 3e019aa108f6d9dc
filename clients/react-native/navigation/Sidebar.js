import { Image, Pressable, View } from 'react-native';

import Avatar from '../components/Avatar';
import Badge from '../components/Badge';
import Icon from '../components/Icon';
import Text from '../components/Text';
import { useSettings } from '../state/settings';
import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';
import { useNavigation } from './Navigation';
import { TABS } from './routes';

/** The same tabs on a desktop, at the side, with who one is below. */
export default function Sidebar({ unread }) {
  const styles = useStyles();
  const { route, go } = useNavigation();
  const { user, server } = useSettings();
  return (
    <View style={styles.side}>
      <View style={styles.brand}>
        <Image source={require('../assets/icon.png')} style={styles.logo} alt="" />
        <Text kind="heading">SuperApp</Text>
      </View>
      <View role="tablist" aria-orientation="vertical" style={styles.tabs}>
        {TABS.map(({ name, title, icon }) => {
          const isSelected = route.tab === name;
          const count = name === 'chat' ? unread : 0;
          return (
            <Pressable
              key={name}
              role="tab"
              aria-label={count > 0 ? `${title}, ${count} unread` : title}
              aria-selected={isSelected}
              onPress={() => go({ tab: name, open: undefined })}
              style={({ hovered }) => [styles.tab, hovered && styles.touched, isSelected && styles.selected]}
            >
              <Icon name={isSelected ? icon : `${icon}-outline`} tone={isSelected ? 'primary' : 'muted'} />
              <Text kind="label" tone={isSelected ? 'primary' : 'text'} style={styles.title}>
                {title}
              </Text>
              <Badge count={count} />
            </Pressable>
          );
        })}
      </View>
      <Pressable role="button" aria-label="Who I am" style={styles.me} onPress={() => go({ tab: 'settings', open: undefined })}>
        {user ? <Avatar name={user} size={36} /> : <Icon name="person-circle-outline" size={36} />}
        <View style={styles.title}>
          <Text kind="label" numberOfLines={1}>
            {user || 'No name yet'}
          </Text>
          <Text kind="small" tone="muted" numberOfLines={1}>
            {server.replace(/^https?:\/\//, '')}
          </Text>
        </View>
      </Pressable>
    </View>
  );
}

const useStyles = styled((colors) => ({
  side: { width: 232, padding: space.m, gap: space.l, backgroundColor: colors.surface, borderRightWidth: 1, borderColor: colors.border },
  brand: { flexDirection: 'row', alignItems: 'center', gap: space.s + 2, padding: space.s },
  logo: { width: 32, height: 32, borderRadius: radius.s },
  tabs: { flex: 1, gap: space.xs },
  tab: { flexDirection: 'row', alignItems: 'center', gap: space.m, minHeight: 44, paddingHorizontal: space.m, borderRadius: radius.m },
  touched: { backgroundColor: colors.sunken },
  selected: { backgroundColor: colors.primarySoft },
  title: { flex: 1 },
  me: { flexDirection: 'row', alignItems: 'center', gap: space.m, padding: space.s, borderRadius: radius.m },
}));
