import { View } from 'react-native';
import { useSafeAreaInsets } from 'react-native-safe-area-context';

import { space } from '../theme/tokens';
import { styled, useIsWide } from '../theme/theme';
import IconButton from './IconButton';
import Text from './Text';

/** A pane with its title, above a column of this width; `onBack` is for what lies over a list. */
export default function Screen({ title, subtitle, onBack, leading, actions, column, children, style }) {
  const styles = useStyles();
  const { top } = useSafeAreaInsets();
  const isWide = useIsWide();
  return (
    <View style={[styles.screen, style]}>
      <View style={[styles.head, { paddingTop: top + space.s, maxWidth: column }]}>
        {onBack && <IconButton icon={isWide ? 'close' : 'chevron-back'} label={isWide ? 'Close' : 'Back'} onPress={onBack} />}
        {leading}
        <View style={[styles.words, !onBack && !leading && styles.indented]}>
          <Text kind={onBack ? 'heading' : 'title'} numberOfLines={1}>
            {title}
          </Text>
          {subtitle}
        </View>
        {actions}
      </View>
      {children}
    </View>
  );
}

const useStyles = styled((colors) => ({
  screen: { flex: 1, backgroundColor: colors.background },
  head: { width: '100%', alignSelf: 'center', flexDirection: 'row', alignItems: 'center', gap: space.s, minHeight: 60, paddingHorizontal: space.s, paddingBottom: space.s },
  words: { flex: 1, justifyContent: 'center' },
  indented: { paddingLeft: space.s },
}));
