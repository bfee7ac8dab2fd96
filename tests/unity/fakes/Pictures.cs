// Textures, renderers, UI; see Objects.cs about the names behind the members.
using System;
using System.Collections.Generic;
using Fakes;
using Unity.Collections;

namespace UnityEngine
{
    public enum TextureFormat // TextureFormat
    {
        RGBA32 = 4, // TextureFormat.RGBA32
    }

    public enum TextureWrapMode // TextureWrapMode
    {
        Repeat = 0, // TextureWrapMode.Repeat
        Clamp = 1, // TextureWrapMode.Clamp
    }

    public class Texture : Object // Texture
    {
        public virtual int width { get; set; } // Texture-width

        public virtual int height { get; set; } // Texture-height

        public TextureWrapMode wrapMode { get; set; } // Texture-wrapMode
    }

    public sealed class Texture2D : Texture // Texture2D
    {
        private readonly byte[] m_bytes;

        /// <summary>What the graphics card would have.</summary>
        internal byte[] Uploaded;

        internal int Uploads;

        public Texture2D(int width, int height, TextureFormat textureFormat, bool mipChain) // Texture2D-ctor
        {
            Engine.OnlyMainThread();
            this.width = width;
            this.height = height;
            m_bytes = new byte[width * height * 4];
            Uploaded = new byte[width * height * 4];
            Engine.Textures++;
        }

        public NativeArray<T> GetRawTextureData<T>() where T : struct // Texture2D.GetRawTextureData
        {
            Engine.OnlyMainThread();
            return new NativeArray<T> { Memory = (T[])(object)m_bytes };
        }

        public void Apply(bool updateMipmaps, bool makeNoLongerReadable) // Texture2D.Apply
        {
            Engine.OnlyMainThread();
            Buffer.BlockCopy(m_bytes, 0, Uploaded, 0, m_bytes.Length);
            Uploads++;
        }
    }

    public sealed class RenderTexture : Texture // RenderTexture
    {
        internal Texture Source;
        internal Vector2 Scale;
        internal Vector2 Offset;

        public RenderTexture(int width, int height, int depth) // RenderTexture-ctor
        {
            this.width = width;
            this.height = height;
        }
    }

    public static class Graphics // Graphics
    {
        public static void Blit(Texture source, RenderTexture dest, Vector2 scale, Vector2 offset) // Graphics.Blit
        {
            Engine.OnlyMainThread();
            dest.Source = source;
            dest.Scale = scale;
            dest.Offset = offset;
        }
    }

    public sealed class Shader : Object // Shader
    {
        private static readonly List<string> s_properties = new List<string>();

        public static int PropertyToID(string name) // Shader.PropertyToID
        {
            if (!s_properties.Contains(name))
            {
                s_properties.Add(name);
            }
            return s_properties.IndexOf(name);
        }

        public static Shader Find(string name) // Shader.Find
        {
            return new Shader { name = name };
        }
    }

    public class Material : Object // Material
    {
        internal readonly HashSet<string> Properties = new HashSet<string>();

        public Material(Shader shader) // Material-ctor
        {
        }

        public bool HasProperty(string name) // Material.HasProperty
        {
            return Properties.Contains(name);
        }
    }

    public sealed class MaterialPropertyBlock // MaterialPropertyBlock
    {
        internal Dictionary<int, object> Values = new Dictionary<int, object>();

        public void SetTexture(int nameID, Texture value) // MaterialPropertyBlock.SetTexture
        {
            Values[nameID] = value;
        }

        public Texture GetTexture(int nameID) // MaterialPropertyBlock.GetTexture
        {
            object value;
            return Values.TryGetValue(nameID, out value) ? (Texture)value : null;
        }

        public void SetVector(int nameID, Vector4 value) // MaterialPropertyBlock.SetVector
        {
            Values[nameID] = value;
        }
    }

    public class Renderer : Component // Renderer
    {
        internal Dictionary<int, object> Block = new Dictionary<int, object>();
        internal int BlocksSet;

        public Material sharedMaterial { get; set; } // Renderer-sharedMaterial

        public void GetPropertyBlock(MaterialPropertyBlock properties) // Renderer.GetPropertyBlock
        {
            properties.Values = new Dictionary<int, object>(Block);
        }

        public void SetPropertyBlock(MaterialPropertyBlock properties) // Renderer.SetPropertyBlock
        {
            Block = properties == null ? new Dictionary<int, object>() : new Dictionary<int, object>(properties.Values);
            BlocksSet++;
        }
    }

    public sealed class MeshRenderer : Renderer // MeshRenderer
    {
    }

    public sealed class SkinnedMeshRenderer : Renderer // SkinnedMeshRenderer
    {
        internal readonly Dictionary<int, float> Weights = new Dictionary<int, float>();

        public Mesh sharedMesh { get; set; } // SkinnedMeshRenderer-sharedMesh

        public void SetBlendShapeWeight(int index, float value) // SkinnedMeshRenderer.SetBlendShapeWeight
        {
            Engine.OnlyMainThread();
            if (index < 0 || index >= sharedMesh.blendShapeCount)
            {
                throw new IndexOutOfRangeException();
            }
            Weights[index] = value;
        }
    }

    public sealed class Mesh : Object // Mesh
    {
        private readonly List<string> m_shapes = new List<string>();

        public Mesh() // Mesh-ctor
        {
        }

        public Vector3[] vertices { get; set; } // Mesh-vertices

        public int[] triangles { get; set; } // Mesh-triangles

        public int blendShapeCount // Mesh-blendShapeCount
        {
            get { return m_shapes.Count; }
        }

        public string GetBlendShapeName(int shapeIndex) // Mesh.GetBlendShapeName
        {
            return m_shapes[shapeIndex];
        }

        public void AddBlendShapeFrame(string shapeName, float frameWeight, Vector3[] deltaVertices, Vector3[] deltaNormals, Vector3[] deltaTangents) // Mesh.AddBlendShapeFrame
        {
            m_shapes.Add(shapeName);
        }

        public void RecalculateNormals() // Mesh.RecalculateNormals
        {
        }
    }

    public sealed class Camera : Behaviour // Camera
    {
        public static Camera main // Camera-main
        {
            get { return Engine.Find<Camera>(); }
        }
    }

    public enum RenderMode // RenderMode
    {
        ScreenSpaceOverlay = 0, // RenderMode.ScreenSpaceOverlay
    }

    public sealed class Canvas : Behaviour // Canvas
    {
        public RenderMode renderMode { get; set; } // Canvas-renderMode
    }
}

namespace UnityEngine.UI
{
    // https://docs.unity3d.com/Packages/com.unity.ugui@1.0/api/UnityEngine.UI.RawImage.html
    public sealed class RawImage : MonoBehaviour // UI.RawImage
    {
        public Texture texture { get; set; } // UI.RawImage-texture

        public Rect uvRect { get; set; } = new Rect(0, 0, 1, 1); // UI.RawImage-uvRect

        public RectTransform rectTransform // UI.Graphic-rectTransform
        {
            get { return (RectTransform)transform; }
        }
    }

    // https://docs.unity3d.com/Packages/com.unity.ugui@1.0/api/UnityEngine.UI.CanvasScaler.html
    public sealed class CanvasScaler : MonoBehaviour // UI.CanvasScaler
    {
    }
}
