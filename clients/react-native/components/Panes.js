import { View } from 'react-native';

import { styled, useIsWide } from '../theme/theme';

/** A list and what is open of it: beside each other on a desktop, over each other on a phone. */
export default function Panes({ list, detail, nothing }) {
  const styles = useStyles();
  const isWide = useIsWide();
  // The list keeps its place while something lies over it.
  const isCovered = !isWide && Boolean(detail);
  return (
    <View style={styles.panes}>
      <View style={[isWide ? styles.side : styles.whole, isCovered && styles.covered]}>{list}</View>
      {(isWide || detail) && <View style={styles.whole}>{detail ?? nothing}</View>}
    </View>
  );
}

const useStyles = styled((colors) => ({
  panes: { flex: 1, flexDirection: 'row' },
  side: { width: 340, borderRightWidth: 1, borderColor: colors.border },
  whole: { flex: 1 },
  covered: { display: 'none' },
}));
