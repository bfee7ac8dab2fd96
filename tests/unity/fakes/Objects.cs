// Unity's API as far as the package uses it, after its public documentation, with just enough life to run the package
// without Unity. The name behind each member is its page: https://docs.unity3d.com/2021.3/Documentation/ScriptReference/
// followed by it and .html.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using Fakes;

[assembly: InternalsVisibleTo("UnityEditor")]
[assembly: InternalsVisibleTo("Llia.Tests.Runtime")]

namespace UnityEngine
{
    [Flags]
    public enum HideFlags // HideFlags
    {
        None = 0, // HideFlags.None
        HideInHierarchy = 1, // HideFlags.HideInHierarchy
        DontSave = 52, // HideFlags.DontSave
        HideAndDontSave = 61, // HideFlags.HideAndDontSave
    }

    public class Object // Object
    {
        internal bool IsDestroyed;

        public virtual string name { get; set; } = ""; // Object-name

        public HideFlags hideFlags { get; set; } // Object-hideFlags

        public static void Destroy(Object obj) // Object.Destroy
        {
            if (obj != null)
            {
                Engine.DestroyLater(obj);
            }
        }

        public static void DestroyImmediate(Object obj) // Object.DestroyImmediate
        {
            Engine.DestroyNow(obj);
        }

        public static implicit operator bool(Object exists) // Object-operator_Object
        {
            return exists != null;
        }

        public static bool operator ==(Object x, Object y) // Object-operator_eq
        {
            var noX = ReferenceEquals(x, null) || x.IsDestroyed;
            var noY = ReferenceEquals(y, null) || y.IsDestroyed;
            return noX || noY ? noX && noY : ReferenceEquals(x, y);
        }

        public static bool operator !=(Object x, Object y) // Object-operator_ne
        {
            return !(x == y);
        }

        public override bool Equals(object other)
        {
            return this == other as Object;
        }

        public override int GetHashCode()
        {
            return base.GetHashCode();
        }
    }

    public class Component : Object // Component
    {
        public GameObject gameObject { get; internal set; } // Component-gameObject

        public Transform transform // Component-transform
        {
            get { return gameObject.transform; }
        }

        public override string name // Object-name
        {
            get { return gameObject.name; }
            set { gameObject.name = value; }
        }

        public T GetComponent<T>() // Component.GetComponent
        {
            return gameObject.GetComponent<T>();
        }

        public T GetComponentInParent<T>() // Component.GetComponentInParent
        {
            for (var at = transform; at != null; at = at.parent)
            {
                var found = at.gameObject.GetComponent<T>();
                if (found != null)
                {
                    return found;
                }
            }
            return default(T);
        }
    }

    public class Behaviour : Component // Behaviour
    {
        private bool m_enabled = true;

        public bool enabled // Behaviour-enabled
        {
            get { return m_enabled; }
            set
            {
                m_enabled = value;
                Engine.Refresh(this);
            }
        }

        public bool isActiveAndEnabled // Behaviour-isActiveAndEnabled
        {
            get { return m_enabled && gameObject.activeInHierarchy; }
        }
    }

    public class MonoBehaviour : Behaviour // MonoBehaviour
    {
    }

    public sealed class GameObject : Object // GameObject
    {
        internal readonly List<Component> Components = new List<Component>();
        private bool m_active = true;

        public GameObject(string name) // GameObject-ctor
            : this(name, new Type[0])
        {
        }

        public GameObject(string name, params Type[] components) // GameObject-ctor
        {
            this.name = name;
            Engine.Objects.Add(this);
            transform = (Transform)Add(components.Contains(typeof(RectTransform)) ? typeof(RectTransform) : typeof(Transform));
            foreach (var type in components)
            {
                if (!typeof(Transform).IsAssignableFrom(type))
                {
                    Add(type);
                }
            }
        }

        public Transform transform { get; private set; } // GameObject-transform

        public string tag { get; set; } = "Untagged"; // GameObject-tag

        public bool activeSelf // GameObject-activeSelf
        {
            get { return m_active; }
        }

        public bool activeInHierarchy // GameObject-activeInHierarchy
        {
            get { return m_active && !IsDestroyed && (transform.parent == null || transform.parent.gameObject.activeInHierarchy); }
        }

        public static GameObject CreatePrimitive(PrimitiveType type) // GameObject.CreatePrimitive
        {
            return new GameObject(type.ToString(), typeof(MeshRenderer));
        }

        public T AddComponent<T>() where T : Component // GameObject.AddComponent
        {
            return (T)Add(typeof(T));
        }

        public T GetComponent<T>() // GameObject.GetComponent
        {
            return (T)(object)Components.FirstOrDefault(component => component is T && !component.IsDestroyed);
        }

        public void SetActive(bool value) // GameObject.SetActive
        {
            m_active = value;
            Engine.RefreshAll();
        }

        private Component Add(Type type)
        {
            foreach (RequireComponent needed in type.GetCustomAttributes(typeof(RequireComponent), true))
            {
                if (!Components.Any(component => needed.Needed.IsInstanceOfType(component)))
                {
                    Add(needed.Needed);
                }
            }
            var made = (Component)Activator.CreateInstance(type, true);
            made.gameObject = this;
            Components.Add(made);
            Engine.Refresh(made);
            return made;
        }
    }

    public class Transform : Component // Transform
    {
        public Transform parent { get; private set; } // Transform-parent

        public Vector3 position { get; set; } // Transform-position

        public Quaternion localRotation { get; set; } = Quaternion.identity; // Transform-localRotation

        public void SetParent(Transform parent, bool worldPositionStays) // Transform.SetParent
        {
            this.parent = parent;
            Engine.RefreshAll();
        }
    }

    public sealed class RectTransform : Transform // RectTransform
    {
        public Vector2 sizeDelta { get; set; } // RectTransform-sizeDelta
    }

    public enum PrimitiveType // PrimitiveType
    {
        Quad = 5, // PrimitiveType.Quad
    }

    public sealed class TextAsset : Object // TextAsset
    {
        public TextAsset(string text) // TextAsset-ctor
        {
            bytes = System.Text.Encoding.UTF8.GetBytes(text);
        }

        internal TextAsset(byte[] file)
        {
            bytes = file;
        }

        public byte[] bytes { get; private set; } // TextAsset-bytes
    }

    [AttributeUsage(AttributeTargets.Field)]
    public sealed class SerializeField : Attribute // SerializeField
    {
    }

    [AttributeUsage(AttributeTargets.Field)]
    public sealed class TooltipAttribute : Attribute // TooltipAttribute
    {
        public TooltipAttribute(string tooltip) // TooltipAttribute-ctor
        {
        }
    }

    [AttributeUsage(AttributeTargets.Field)]
    public sealed class RangeAttribute : Attribute // RangeAttribute
    {
        public RangeAttribute(float min, float max) // RangeAttribute-ctor
        {
        }
    }

    public sealed class AddComponentMenu : Attribute // AddComponentMenu
    {
        public AddComponentMenu(string menuName) // AddComponentMenu-ctor
        {
        }
    }

    public sealed class DisallowMultipleComponent : Attribute // DisallowMultipleComponent
    {
    }

    public sealed class DefaultExecutionOrder : Attribute // DefaultExecutionOrder
    {
        internal readonly int Order;

        public DefaultExecutionOrder(int order) // DefaultExecutionOrder-ctor
        {
            Order = order;
        }
    }

    [AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
    public sealed class RequireComponent : Attribute // RequireComponent
    {
        internal readonly Type Needed;

        public RequireComponent(Type requiredComponent) // RequireComponent-ctor
        {
            Needed = requiredComponent;
        }
    }

    public enum RuntimeInitializeLoadType // RuntimeInitializeLoadType
    {
        SubsystemRegistration = 4, // RuntimeInitializeLoadType.SubsystemRegistration
    }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class RuntimeInitializeOnLoadMethodAttribute : Attribute // RuntimeInitializeOnLoadMethodAttribute
    {
        public RuntimeInitializeOnLoadMethodAttribute(RuntimeInitializeLoadType loadType) // RuntimeInitializeOnLoadMethodAttribute-ctor
        {
        }
    }
}

namespace UnityEngine.Events
{
    public class UnityEvent // Events.UnityEvent
    {
        private event UnityAction Called;

        public void AddListener(UnityAction call) // Events.UnityEvent.AddListener
        {
            Called += call;
        }

        public void Invoke() // Events.UnityEvent.Invoke
        {
            if (Called != null)
            {
                Called();
            }
        }
    }

    public class UnityEvent<T0> // Events.UnityEvent_1
    {
        private event UnityAction<T0> Called;

        public void AddListener(UnityAction<T0> call) // Events.UnityEvent.AddListener
        {
            Called += call;
        }

        public void Invoke(T0 arg0) // Events.UnityEvent.Invoke
        {
            if (Called != null)
            {
                Called(arg0);
            }
        }
    }

    public delegate void UnityAction(); // Events.UnityAction

    public delegate void UnityAction<T0>(T0 arg0); // Events.UnityAction
}
