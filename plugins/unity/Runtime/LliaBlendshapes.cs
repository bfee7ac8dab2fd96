using System.Collections.Generic;
using System.Text;
using Llia.Core;
using UnityEngine;

namespace Llia
{
    /// <summary>
    /// Drives a rig's blendshapes, and its head if wanted, with the avatar's face: for characters that are meshes. Shapes are
    /// found by ARKit's names, whatever stands before them and however they are written ("Face.jawOpen", "jaw_open").
    /// </summary>
    [AddComponentMenu("LLIA/LLIA Blendshapes")]
    public sealed class LliaBlendshapes : MonoBehaviour
    {
        [SerializeField, Tooltip("Whose face. Empty: the avatar on this object or above it.")]
        private LliaAvatar m_avatar;

        [SerializeField, Tooltip("The mesh with the blendshapes. Empty: the one on this object.")]
        private SkinnedMeshRenderer m_mesh;

        [SerializeField, Tooltip("Turned with the head; may be empty.")]
        private Transform m_head;

        [SerializeField, Range(0f, 2f), Tooltip("Strength of all shapes.")]
        private float m_strength = 1f;

        [SerializeField, Range(0f, 2f), Tooltip("Strength of the head's motion.")]
        private float m_headStrength = 1f;

        private readonly Dictionary<string, int> m_indices = new Dictionary<string, int>();
        private readonly List<int> m_driven = new List<int>();
        private LliaAvatar m_used;
        private Mesh m_indexed;
        private Quaternion m_headRest;
        private FaceFrame m_shown;
        private long m_shownPts = -1;

        public LliaAvatar Avatar
        {
            get { return m_avatar; }
            set { m_avatar = value; }
        }

        public SkinnedMeshRenderer Mesh
        {
            get { return m_mesh; }
            set { m_mesh = value; }
        }

        public Transform Head
        {
            get { return m_head; }
            set { m_head = value; }
        }

        public float Strength
        {
            get { return m_strength; }
            set { m_strength = value; }
        }

        /// <summary>How many of the mesh's shapes have got a value so far.</summary>
        public int DrivenShapes
        {
            get { return m_driven.Count; }
        }

        private void OnEnable()
        {
            if (m_avatar == null)
            {
                m_avatar = GetComponentInParent<LliaAvatar>();
            }
            if (m_mesh == null)
            {
                m_mesh = GetComponent<SkinnedMeshRenderer>();
            }
            if (m_avatar == null || m_mesh == null)
            {
                Debug.LogWarning("LLIA: the Blendshapes on '" + name + "' need an avatar and a SkinnedMeshRenderer", this);
                return;
            }
            m_used = m_avatar;
            m_used.UseFaces(true);
            if (m_head != null)
            {
                m_headRest = m_head.localRotation;
            }
        }

        private void LateUpdate()
        {
            if (m_used == null || m_mesh == null)
            {
                return;
            }
            var face = m_used.Face;
            if (face == null || (face == m_shown && face.PtsSamples == m_shownPts))
            {
                return;
            }
            m_shown = face;
            m_shownPts = face.PtsSamples;
            if (m_mesh.sharedMesh != m_indexed)
            {
                Index(m_mesh.sharedMesh);
            }
            Drive(face.Shapes);
            if (m_head != null)
            {
                Turn(face.HeadDeg);
            }
        }

        private void OnDisable()
        {
            if (m_used != null)
            {
                m_used.UseFaces(false);
            }
            m_used = null;
            m_shown = null;
            m_shownPts = -1;
            if (m_mesh != null && m_mesh.sharedMesh == m_indexed)
            {
                m_driven.ForEach(index => m_mesh.SetBlendShapeWeight(index, 0f));
            }
            if (m_head != null)
            {
                m_head.localRotation = m_headRest;
            }
        }

        private void Index(Mesh mesh)
        {
            m_indexed = mesh;
            m_indices.Clear();
            m_driven.Clear();
            for (var i = 0; mesh != null && i < mesh.blendShapeCount; i++)
            {
                m_indices[Plain(mesh.GetBlendShapeName(i))] = i;
            }
        }

        private void Drive(NamedNumbers shapes)
        {
            for (var i = 0; i < shapes.Count; i++)
            {
                int index;
                if (!TryIndex(shapes.Name(i), out index))
                {
                    continue;
                }
                m_mesh.SetBlendShapeWeight(index, (float)shapes.Value(i) * 100f * m_strength);
                if (!m_driven.Contains(index))
                {
                    m_driven.Add(index);
                }
            }
        }

        /// <summary>Once a name has been looked for, what was found (or not) is remembered by the name itself.</summary>
        private bool TryIndex(string name, out int index)
        {
            if (!m_indices.TryGetValue(name, out index))
            {
                if (!m_indices.TryGetValue(Plain(name), out index))
                {
                    index = -1;
                }
                m_indices[name] = index;
            }
            return index >= 0;
        }

        /// <summary>Unity's axes: yaw about y, pitch about x, roll about z, for a head that looks along z.</summary>
        private void Turn(NamedNumbers headDeg)
        {
            m_head.localRotation = m_headRest * Quaternion.Euler(
                (float)headDeg.Get("pitch", 0) * m_headStrength,
                -(float)headDeg.Get("yaw", 0) * m_headStrength,
                (float)headDeg.Get("roll", 0) * m_headStrength);
        }

        /// <summary>"Face.jaw_Open" and "jawOpen" are the same shape, "eyeBlink_L" and "eyeBlinkLeft" as well.</summary>
        private static string Plain(string name)
        {
            if (name.EndsWith("_L") || name.EndsWith("_R"))
            {
                name = name.Substring(0, name.Length - 2) + (name.EndsWith("_L") ? "Left" : "Right");
            }
            var plain = new StringBuilder(" ");
            for (var i = name.LastIndexOf('.') + 1; i < name.Length; i++)
            {
                if (char.IsLetterOrDigit(name[i]))
                {
                    plain.Append(char.ToLowerInvariant(name[i]));
                }
            }
            return plain.ToString();
        }
    }
}
