using System;
using Llia;
using UnityEngine;

namespace LliaSamples
{
    /// <summary>
    /// A mesh driven by the avatar's face instead of its picture. Put this on an empty object of a new scene, drag a clip on it,
    /// press Play. The mask is made here, with a few of ARKit's shapes; on a rig of your own add LLIA Avatar and LLIA
    /// Blendshapes, and name its mesh.
    /// </summary>
    public sealed class BlendshapeRig : MonoBehaviour
    {
        private const int Side = 33;

        [SerializeField, Tooltip("What it says.")]
        private AudioClip m_clip;

        [SerializeField, Tooltip("A material of your pipeline; empty: the built-in one.")]
        private Material m_material;

        private LliaAvatar m_avatar;

        private void Start()
        {
            if (Camera.main == null)
            {
                var made = new GameObject("Main Camera", typeof(Camera), typeof(AudioListener));
                made.tag = "MainCamera";
                made.transform.position = new Vector3(0, 0, -3);
            }
            var head = new GameObject("Head");
            head.transform.SetParent(transform, false);
            head.transform.localRotation = Quaternion.Euler(0, 180, 0); // it looks at the camera
            head.SetActive(false);
            var skin = head.AddComponent<SkinnedMeshRenderer>();
            skin.sharedMesh = MakeMask();
            skin.sharedMaterial = m_material != null ? m_material : new Material(Shader.Find("Standard"));
            m_avatar = head.AddComponent<LliaAvatar>();
            var shapes = head.AddComponent<LliaBlendshapes>();
            shapes.Avatar = m_avatar;
            shapes.Mesh = skin;
            shapes.Head = head.transform;
            head.SetActive(true);
        }

        private void OnGUI()
        {
            GUILayout.Label(m_avatar.IsOpen ? m_avatar.State.ToString() : m_avatar.Problem);
            if (GUILayout.Button("Speak") && m_clip != null)
            {
                m_avatar.Speak(m_clip);
            }
        }

        /// <summary>A bulging sheet of 2 by 2 units that looks along z, with a mouth, two eyes and brows.</summary>
        private static Mesh MakeMask()
        {
            var vertices = new Vector3[Side * Side];
            for (var i = 0; i < vertices.Length; i++)
            {
                var x = i % Side * 2f / (Side - 1) - 1;
                var y = i / Side * 2f / (Side - 1) - 1;
                vertices[i] = new Vector3(x, y, 0.6f * (1 - x * x) * (1 - y * y));
            }
            var mesh = new Mesh { name = "Mask", vertices = vertices, triangles = Triangles() };
            AddShape(mesh, "jawOpen", p => p.y < -0.3f ? new Vector3(0, -0.35f * Near(p.x, 0, 0.8f), 0) : Vector3.zero);
            AddShape(mesh, "mouthPucker", p => new Vector3(0, 0, 0.2f * Near(p.x, 0, 0.4f) * Near(p.y, -0.3f, 0.4f)));
            AddShape(mesh, "eyeBlinkLeft", p => new Vector3(0, -0.15f * Near(p.x, -0.4f, 0.3f) * Near(p.y, 0.4f, 0.2f), 0));
            AddShape(mesh, "eyeBlinkRight", p => new Vector3(0, -0.15f * Near(p.x, 0.4f, 0.3f) * Near(p.y, 0.4f, 0.2f), 0));
            AddShape(mesh, "browInnerUp", p => new Vector3(0, 0.2f * Near(p.x, 0, 0.5f) * Near(p.y, 0.7f, 0.2f), 0));
            mesh.RecalculateNormals();
            return mesh;
        }

        private static int[] Triangles()
        {
            var triangles = new int[(Side - 1) * (Side - 1) * 6];
            var n = 0;
            for (var row = 0; row < Side - 1; row++)
            {
                for (var column = 0; column < Side - 1; column++)
                {
                    var i = row * Side + column;
                    foreach (var corner in new[] { i, i + 1, i + Side, i + 1, i + Side + 1, i + Side })
                    {
                        triangles[n++] = corner;
                    }
                }
            }
            return triangles;
        }

        private static void AddShape(Mesh mesh, string name, Func<Vector3, Vector3> move)
        {
            var vertices = mesh.vertices;
            var moves = new Vector3[vertices.Length];
            for (var i = 0; i < vertices.Length; i++)
            {
                moves[i] = move(vertices[i]);
            }
            mesh.AddBlendShapeFrame(name, 100f, moves, null, null);
        }

        /// <summary>1 at the centre, 0 from the radius on.</summary>
        private static float Near(float value, float centre, float radius)
        {
            return Mathf.Clamp01(1 - Mathf.Abs(value - centre) / radius);
        }
    }
}
