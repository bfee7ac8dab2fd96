using Llia.Core;
using Unity.Collections;
using UnityEngine;

namespace Llia
{
    /// <summary>
    /// Brings pictures into a texture and the texture to where it is shown. Rows come from the top and Unity's run from the
    /// bottom: the picture is turned by its coordinates, which costs nothing.
    /// </summary>
    internal sealed class AvatarPicture
    {
        private static readonly Vector4 s_turned = new Vector4(1, -1, 0, 1);
        private static readonly Rect s_turnedRect = new Rect(0, 1, 1, -1);

        private Texture2D m_texture;
        private MaterialPropertyBlock m_block;
        private Renderer m_blockOf;
        private string m_namedProperty;
        private int m_property;
        private int m_scaleProperty;

        public Texture2D Texture
        {
            get { return m_texture; }
        }

        /// <summary>Pictures shown so far.</summary>
        public long Shown { get; private set; }

        public void Show(VideoFrame frame, LliaAvatar avatar)
        {
            if (m_texture == null || m_texture.width != frame.Width || m_texture.height != frame.Height)
            {
                Make(frame);
            }
            NativeArray<byte>.Copy(frame.Pixels, 0, m_texture.GetRawTextureData<byte>(), 0, frame.PixelBytes);
            m_texture.Apply(false, false);
            Shown++;
            if (avatar.RawImage != null)
            {
                ShowIn(avatar.RawImage);
            }
            if (avatar.Renderer != null)
            {
                ShowOn(avatar.Renderer, avatar.TextureProperty);
            }
            if (avatar.RenderTexture != null)
            {
                Graphics.Blit(m_texture, avatar.RenderTexture, new Vector2(1, -1), new Vector2(0, 1));
            }
        }

        /// <summary>Frees the texture and takes it back from where it was shown.</summary>
        public void Release(LliaAvatar avatar)
        {
            if (m_texture == null)
            {
                return;
            }
            if (avatar.RawImage != null && avatar.RawImage.texture == m_texture)
            {
                avatar.RawImage.texture = null;
            }
            if (m_blockOf != null)
            {
                m_blockOf.SetPropertyBlock(null);
            }
            if (Application.isPlaying)
            {
                Object.Destroy(m_texture);
            }
            else
            {
                Object.DestroyImmediate(m_texture);
            }
            m_texture = null;
        }

        private void Make(VideoFrame frame)
        {
            if (m_texture != null)
            {
                Object.Destroy(m_texture);
            }
            m_texture = new Texture2D(frame.Width, frame.Height, TextureFormat.RGBA32, false)
            {
                name = "LLIA avatar",
                wrapMode = TextureWrapMode.Clamp,
                hideFlags = HideFlags.HideAndDontSave,
            };
        }

        private void ShowIn(UnityEngine.UI.RawImage image)
        {
            if (image.texture != m_texture)
            {
                image.texture = m_texture;
                image.uvRect = s_turnedRect;
            }
        }

        private void ShowOn(Renderer renderer, string property)
        {
            if (m_block == null)
            {
                m_block = new MaterialPropertyBlock();
            }
            if (m_blockOf == renderer && m_namedProperty == property && m_block.GetTexture(m_property) == m_texture)
            {
                return; // the block refers to the texture, whose pixels have changed
            }
            m_blockOf = renderer;
            m_namedProperty = property;
            var name = string.IsNullOrEmpty(property) ? PropertyOf(renderer.sharedMaterial) : property;
            m_property = Shader.PropertyToID(name);
            m_scaleProperty = Shader.PropertyToID(name + "_ST");
            renderer.GetPropertyBlock(m_block);
            m_block.SetTexture(m_property, m_texture);
            m_block.SetVector(m_scaleProperty, s_turned);
            renderer.SetPropertyBlock(m_block);
        }

        /// <summary>The first of the names that Built-in, URP and HDRP give their main texture.</summary>
        private static string PropertyOf(Material material)
        {
            if (material != null)
            {
                foreach (var name in new[] { "_BaseMap", "_BaseColorMap", "_UnlitColorMap" })
                {
                    if (material.HasProperty(name))
                    {
                        return name;
                    }
                }
            }
            return "_MainTex";
        }
    }
}
