// Time, log, application, immediate GUI; see Objects.cs about the names behind the members.
using System;
using Fakes;

namespace UnityEngine
{
    public static class Time // Time
    {
        public static double realtimeSinceStartupAsDouble // Time-realtimeSinceStartupAsDouble
        {
            get { return Engine.NowS; }
        }
    }

    public static class Application // Application
    {
        public static event Action quitting; // Application-quitting

        public static bool isPlaying { get; internal set; } = true; // Application-isPlaying

        public static string productName // Application-productName
        {
            get { return "Fake Game"; }
        }

        internal static void Quit()
        {
            if (quitting != null)
            {
                quitting();
            }
        }

        internal static int QuitListeners
        {
            get { return quitting == null ? 0 : quitting.GetInvocationList().Length; }
        }
    }

    public static class Debug // Debug
    {
        public static void LogWarning(object message, Object context) // Debug.LogWarning
        {
            Engine.Log.Add("warning: " + message);
        }

        public static void LogError(object message, Object context) // Debug.LogError
        {
            Engine.Log.Add("error: " + message);
        }
    }

    public sealed class GUIStyle // GUIStyle
    {
    }

    public class GUILayoutOption // GUILayoutOption
    {
    }

    public static class GUILayout // GUILayout
    {
        public static void Label(string text, params GUILayoutOption[] options) // GUILayout.Label
        {
            Engine.Gui.Add(text);
        }

        public static bool Button(string text, params GUILayoutOption[] options) // GUILayout.Button
        {
            return Engine.Press(text);
        }

        public static bool RepeatButton(string text, params GUILayoutOption[] options) // GUILayout.RepeatButton
        {
            return Engine.Press(text);
        }

        public static bool Toggle(bool value, string text, params GUILayoutOption[] options) // GUILayout.Toggle
        {
            return Engine.Press(text) ? !value : value;
        }

        public static GUILayoutOption ExpandWidth(bool expand) // GUILayout.ExpandWidth
        {
            return new GUILayoutOption();
        }
    }

    public static class GUILayoutUtility // GUILayoutUtility
    {
        public static Rect GetRect(float width, float height, params GUILayoutOption[] options) // GUILayoutUtility.GetRect
        {
            return new Rect(0, 0, width, height);
        }
    }

    public static class GUI // GUI
    {
        public static void DrawTextureWithTexCoords(Rect position, Texture image, Rect texCoords) // GUI.DrawTextureWithTexCoords
        {
        }
    }
}
