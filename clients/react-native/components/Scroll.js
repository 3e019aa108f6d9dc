import { RefreshControl, ScrollView } from 'react-native';

import { space } from '../theme/tokens';
import { useColors } from '../theme/theme';

/** How wide a page of figures is. */
export const COLUMN = 880;

/** Contents of a readable width, `column`, that can be pulled to load them anew. */
export default function Scroll({ isRefreshing = false, onRefresh, column = COLUMN, children, contentStyle }) {
  const colors = useColors();
  const control = onRefresh && <RefreshControl refreshing={isRefreshing} onRefresh={onRefresh} tintColor={colors.primary} colors={[colors.primary]} />;
  return (
    <ScrollView
      refreshControl={control}
      keyboardShouldPersistTaps="handled"
      contentContainerStyle={[{ flexGrow: 1, width: '100%', maxWidth: column, alignSelf: 'center', padding: space.l, paddingTop: space.s, gap: space.l }, contentStyle]}
    >
      {children}
    </ScrollView>
  );
}
