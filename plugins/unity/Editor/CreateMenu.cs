using UnityEditor;
using UnityEngine;
using UnityEngine.UI;

namespace Llia.Editor
{
    /// <summary>GameObject > LLIA.</summary>
    internal static class CreateMenu
    {
        [MenuItem("GameObject/LLIA/Connection", false, 10)]
        private static void Connection(MenuCommand command)
        {
            Finish(new GameObject("LLIA Connection", typeof(LliaConnection)), command);
        }

        /// <summary>For a Canvas.</summary>
        [MenuItem("GameObject/LLIA/Avatar (UI)", false, 11)]
        private static void UiAvatar(MenuCommand command)
        {
            var made = new GameObject("LLIA Avatar", typeof(RectTransform), typeof(RawImage), typeof(LliaAvatar));
            made.GetComponent<LliaAvatar>().RawImage = made.GetComponent<RawImage>();
            Finish(made, command);
        }

        /// <summary>For the world: a quad.</summary>
        [MenuItem("GameObject/LLIA/Avatar (Quad)", false, 12)]
        private static void QuadAvatar(MenuCommand command)
        {
            var made = GameObject.CreatePrimitive(PrimitiveType.Quad);
            made.name = "LLIA Avatar";
            made.AddComponent<LliaAvatar>().Renderer = made.GetComponent<Renderer>();
            Finish(made, command);
        }

        private static void Finish(GameObject made, MenuCommand command)
        {
            GameObjectUtility.SetParentAndAlign(made, command.context as GameObject);
            Undo.RegisterCreatedObjectUndo(made, "Create " + made.name);
            Selection.activeObject = made;
        }
    }
}
