import { SafeAreaProvider } from 'react-native-safe-area-context';

import { NavigationProvider } from './navigation/Navigation';
import Shell from './navigation/Shell';
import { ChatProvider } from './state/chat';
import { ClientProvider } from './state/client';
import { RoomsProvider } from './state/rooms';
import { SettingsProvider } from './state/settings';

/** SuperApp on iOS, Android and the web. */
export default function App() {
  return (
    <SafeAreaProvider>
      <SettingsProvider>
        <ClientProvider>
          <ChatProvider>
            <RoomsProvider>
              <NavigationProvider>
                <Shell />
              </NavigationProvider>
            </RoomsProvider>
          </ChatProvider>
        </ClientProvider>
      </SettingsProvider>
    </SafeAreaProvider>
  );
}
