import { Pressable, View } from 'react-native';
import { useSafeAreaInsets } from 'react-native-safe-area-context';

import Badge from '../components/Badge';
import Icon from '../components/Icon';
import Text from '../components/Text';
import { radius, space } from '../theme/tokens';
import { styled } from '../theme/theme';
import { useNavigation } from './Navigation';
import { TABS } from './routes';

/** The tabs of a phone, below. */
export default function TabBar({ unread }) {
  const styles = useStyles();
  const { route, go } = useNavigation();
  const { bottom } = useSafeAreaInsets();
  return (
    <View role="tablist" style={[styles.bar, { paddingBottom: Math.max(bottom, space.s) }]}>
      {TABS.map(({ name, title, icon }) => {
        const isSelected = route.tab === name;
        const count = name === 'chat' ? unread : 0;
        return (
          <Pressable
            key={name}
            role="tab"
            aria-label={count > 0 ? `${title}, ${count} unread` : title}
            aria-selected={isSelected}
            style={styles.tab}
            onPress={() => go({ tab: name, open: undefined })}
          >
            <View style={[styles.icon, isSelected && styles.selected]}>
              <Icon name={isSelected ? icon : `${icon}-outline`} size={22} tone={isSelected ? 'primary' : 'muted'} />
              {count > 0 && (
                <View style={styles.badge}>
                  <Badge count={count} />
                </View>
              )}
            </View>
            <Text kind="tiny" tone={isSelected ? 'primary' : 'muted'} numberOfLines={1}>
              {title}
            </Text>
          </Pressable>
        );
      })}
    </View>
  );
}

const useStyles = styled((colors) => ({
  bar: { flexDirection: 'row', paddingTop: space.xs + 2, backgroundColor: colors.surface, borderTopWidth: 1, borderColor: colors.border },
  tab: { flex: 1, alignItems: 'center', gap: 2, minHeight: 48 },
  icon: { width: 56, height: 30, borderRadius: radius.round, alignItems: 'center', justifyContent: 'center' },
  selected: { backgroundColor: colors.primarySoft },
  // Its rim keeps it apart from the icon, which has its colour when selected.
  badge: { position: 'absolute', top: -6, left: 34, borderWidth: 2, borderColor: colors.surface, borderRadius: radius.round },
}));
