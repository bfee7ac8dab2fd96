using UnityEditor;

namespace Llia.Editor
{
    /// <summary>Shows serialized fields by their names.</summary>
    internal static class Fields
    {
        public static void Show(SerializedObject shown, string[] names)
        {
            foreach (var name in names)
            {
                EditorGUILayout.PropertyField(shown.FindProperty(name), true);
            }
        }
    }
}
