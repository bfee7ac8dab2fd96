// The editor's API as far as the package uses it; see fakes/Objects.cs about the names behind the members.
using System;
using System.Runtime.CompilerServices;
using UnityEngine;

[assembly: InternalsVisibleTo("Llia.Tests.Runtime")]

namespace UnityEditor
{
    public class Editor : UnityEngine.Object // Editor
    {
        public UnityEngine.Object target { get; internal set; } // Editor-target

        public SerializedObject serializedObject { get; internal set; } // Editor-serializedObject

        public virtual void OnInspectorGUI() // Editor.OnInspectorGUI
        {
        }

        public virtual bool RequiresConstantRepaint() // Editor.RequiresConstantRepaint
        {
            return false;
        }

        public void Repaint() // Editor.Repaint
        {
        }
    }

    public sealed class CustomEditor : Attribute // CustomEditor
    {
        public CustomEditor(Type inspectedType) // CustomEditor-ctor
        {
        }
    }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class MenuItem : Attribute // MenuItem
    {
        public MenuItem(string itemName, bool isValidateFunction, int priority) // MenuItem-ctor
        {
        }
    }

    public sealed class MenuCommand // MenuCommand
    {
        public UnityEngine.Object context; // MenuCommand-context
    }

    public sealed class SerializedObject // SerializedObject
    {
        private readonly UnityEngine.Object m_object;

        public SerializedObject(UnityEngine.Object obj) // SerializedObject-ctor
        {
            m_object = obj;
        }

        public void Update() // SerializedObject.Update
        {
        }

        public SerializedProperty FindProperty(string propertyPath) // SerializedObject.FindProperty
        {
            return SerializedProperty.Of(m_object, propertyPath);
        }

        public bool ApplyModifiedProperties() // SerializedObject.ApplyModifiedProperties
        {
            return false;
        }
    }

    public sealed class SerializedProperty // SerializedProperty
    {
        private object m_value;

        public bool boolValue // SerializedProperty-boolValue
        {
            get { return (bool)m_value; }
        }

        /// <summary>Null where there is no such field, as in Unity.</summary>
        internal static SerializedProperty Of(UnityEngine.Object owner, string name)
        {
            const System.Reflection.BindingFlags any = System.Reflection.BindingFlags.Instance
                | System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Public;
            var field = owner.GetType().GetField(name, any);
            var shown = field != null
                && (field.IsPublic || field.GetCustomAttributes(typeof(SerializeField), false).Length > 0);
            return shown ? new SerializedProperty { m_value = field.GetValue(owner) } : null;
        }
    }

    public enum MessageType // MessageType
    {
        None = 0, // MessageType.None
        Info = 1, // MessageType.Info
        Warning = 2, // MessageType.Warning
        Error = 3, // MessageType.Error
    }

    public sealed class EditorStyles // EditorStyles
    {
        public static GUIStyle boldLabel // EditorStyles-boldLabel
        {
            get { return new GUIStyle(); }
        }
    }

    public static class EditorGUILayout // EditorGUILayout
    {
        public static bool PropertyField(SerializedProperty property, bool includeChildren, params GUILayoutOption[] options) // EditorGUILayout.PropertyField
        {
            if (property == null)
            {
                throw new NullReferenceException("the inspector shows a field that there is not");
            }
            return false;
        }

        public static void LabelField(string label, GUIStyle style, params GUILayoutOption[] options) // EditorGUILayout.LabelField
        {
            Fakes.Engine.Gui.Add(label);
        }

        public static void LabelField(string label, string label2, params GUILayoutOption[] options) // EditorGUILayout.LabelField
        {
            Fakes.Engine.Gui.Add(label + ": " + label2);
        }

        public static void HelpBox(string message, MessageType type) // EditorGUILayout.HelpBox
        {
            Fakes.Engine.Gui.Add(type + ": " + message);
        }

        public static bool Foldout(bool foldout, string content) // EditorGUILayout.Foldout
        {
            return true;
        }

        public static void Space() // EditorGUILayout.Space
        {
        }
    }

    public static class EditorGUI // EditorGUI
    {
        public struct DisabledScope : IDisposable // EditorGUI.DisabledScope
        {
            public DisabledScope(bool disabled) // EditorGUI.DisabledScope
            {
            }

            public void Dispose() // EditorGUI.DisabledScope
            {
            }
        }
    }

    public static class EditorGUIUtility // EditorGUIUtility
    {
        public static string systemCopyBuffer { get; set; } // EditorGUIUtility-systemCopyBuffer
    }

    public static class EditorApplication // EditorApplication
    {
        public static event Action quitting; // EditorApplication-quitting

        public static double timeSinceStartup // EditorApplication-timeSinceStartup
        {
            get { return Fakes.Engine.NowS; }
        }

        internal static void Quit()
        {
            if (quitting != null)
            {
                quitting();
            }
        }
    }

    public static class AssemblyReloadEvents // AssemblyReloadEvents
    {
        public delegate void AssemblyReloadCallback(); // AssemblyReloadEvents.AssemblyReloadCallback

        public static event AssemblyReloadCallback beforeAssemblyReload; // AssemblyReloadEvents-beforeAssemblyReload

        internal static void Reload()
        {
            if (beforeAssemblyReload != null)
            {
                beforeAssemblyReload();
            }
        }

        internal static int Listeners
        {
            get { return beforeAssemblyReload == null ? 0 : beforeAssemblyReload.GetInvocationList().Length; }
        }
    }

    public static class GameObjectUtility // GameObjectUtility
    {
        public static void SetParentAndAlign(GameObject child, GameObject parent) // GameObjectUtility.SetParentAndAlign
        {
            if (parent != null)
            {
                child.transform.SetParent(parent.transform, false);
            }
        }
    }

    public static class Undo // Undo
    {
        public static void RegisterCreatedObjectUndo(UnityEngine.Object objectToUndo, string name) // Undo.RegisterCreatedObjectUndo
        {
        }
    }

    public static class Selection // Selection
    {
        public static UnityEngine.Object activeObject { get; set; } // Selection-activeObject
    }
}
