import Ionicons from '@expo/vector-icons/Ionicons';

import { useColors } from '../theme/theme';

/** A picture beside words; it says nothing to a screen reader. */
export default function Icon({ name, size = 20, tone = 'muted', color }) {
  const colors = useColors();
  return <Ionicons name={name} size={size} color={color ?? colors[tone]} aria-hidden importantForAccessibility="no" selectable={false} />;
}
