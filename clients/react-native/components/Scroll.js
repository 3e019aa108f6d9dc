import { RefreshControl, ScrollView } from 'react-native';

import { space } from '../theme/tokens';
import { useColors } from '../theme/theme';

/** Contents of a readable width that can be pulled to load them anew. */
export default function Scroll({ isRefreshing = false, onRefresh, children, contentStyle }) {
  const colors = useColors();
  const control = onRefresh && <RefreshControl refreshing={isRefreshing} onRefresh={onRefresh} tintColor={colors.primary} colors={[colors.primary]} />;
  return (
    <ScrollView
      refreshControl={control}
      keyboardShouldPersistTaps="handled"
      contentContainerStyle={[{ flexGrow: 1, width: '100%', maxWidth: 880, alignSelf: 'center', padding: space.l, paddingTop: space.s, gap: space.l }, contentStyle]}
    >
      {children}
    </ScrollView>
  );
}
