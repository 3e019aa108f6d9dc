import { useEffect, useState } from 'react';
import { StatusBar, View } from 'react-native';

import AnalyticsScreen from '../screens/AnalyticsScreen';
import ChatScreen from '../screens/ChatScreen';
import HealthScreen from '../screens/HealthScreen';
import SettingsScreen from '../screens/SettingsScreen';
import UsersScreen from '../screens/UsersScreen';
import { useRooms } from '../state/rooms';
import { styled, useIsWide } from '../theme/theme';
import { ActiveProvider, useNavigation } from './Navigation';
import Sidebar from './Sidebar';
import TabBar from './TabBar';

const SCREENS = { chat: ChatScreen, users: UsersScreen, health: HealthScreen, analytics: AnalyticsScreen, settings: SettingsScreen };

/** The tabs around the screen that is shown. A tab that was visited stays as it was left. */
export default function Shell() {
  const styles = useStyles();
  const isWide = useIsWide();
  const { route } = useNavigation();
  const { unread } = useRooms();
  const [visited, setVisited] = useState({});
  useEffect(() => setVisited((before) => ({ ...before, [route.tab]: route.open })), [route]);

  const tabs = { ...visited, [route.tab]: route.open };
  // A phone shows one thing at a time: what is open has the whole screen.
  const hasTabBar = !isWide && route.open === undefined;
  return (
    <View style={[styles.shell, isWide && styles.wide]}>
      <StatusBar barStyle="default" />
      {isWide && <Sidebar unread={unread} />}
      <View style={styles.main}>
        {Object.entries(tabs).map(([name, open]) => {
          const Tab = SCREENS[name];
          const isActive = name === route.tab;
          return (
            <View key={name} style={isActive ? styles.main : styles.hidden}>
              <ActiveProvider value={isActive}>
                <Tab open={open} />
              </ActiveProvider>
            </View>
          );
        })}
      </View>
      {hasTabBar && <TabBar unread={unread} />}
    </View>
  );
}

const useStyles = styled((colors) => ({
  shell: { flex: 1, backgroundColor: colors.background },
  wide: { flexDirection: 'row' },
  main: { flex: 1 },
  hidden: { display: 'none' },
}));
